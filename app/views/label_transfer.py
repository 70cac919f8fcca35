"""Labels out of the dashboard and into it: files to download, a file to bring in, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from app.label_export import labels_of
from app.label_files import read_labels, write_labels
from app.label_import import ImportReport, Wishes, import_labels
from app.label_steps import step_data
from app.store import Store
from app.views.project_words import Line, say
from db.annotation_views import ProjectRow
from db.queries_texts import Database
from steper_core.errors import UserError

_FORMATS: Mapping[str, tuple[str, str, str]] = {
    ".jsonl": ("JSONL", "application/x-ndjson", "Shaped like PRM800K; holds everything, and brings the project back"),
    ".csv": ("CSV", "text/csv", "One row a change of the history"),
    ".parquet": ("Parquet", "application/vnd.apache.parquet", "One row a change of the history"),
}
_PROBLEMS_SHOWN = 20


def offer_files(engine: Database, project: ProjectRow, *, begun: bool) -> None:
    """Buttons that download a project's labels; a file is made when its button is pressed.

    `begun`: somebody has taken an item; before, there is nothing to write.
    """

    def file_of(suffix: str) -> Callable[[], bytes]:
        return lambda: write_labels(labels_of(engine, project), suffix)

    with st.container(horizontal=True, key="export_labels"):
        for suffix, (title, mime, hint) in _FORMATS.items():
            st.download_button(
                title,
                file_of(suffix),
                file_name=f"labels-{project.id}{suffix}",
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                help=hint,
                disabled=not begun,
                key=f"export{suffix}",
            )
        st.download_button(
            "Step data",
            lambda: step_data(labels_of(engine, project)).lines().encode(),
            file_name=f"steps-{project.id}.jsonl",
            mime="application/x-ndjson",
            icon=":material/download:",
            on_click="ignore",
            help="Kept and rejected steps, for `steper collect --labels`",
            disabled=not project.submitted or not project.rubric.get("steps"),
            key="export_steps",
        )


def offer_import(store: Store, project: ProjectRow | None) -> None:
    """A field for a file of labels: into this project, or into the one that the file names, which may be new."""
    place = project.id if project is not None else 0
    uploaded = st.file_uploader(
        "A file of labels: an export, or lines of PRM800K's shape"
        if project is not None
        else "An export (JSONL): the project it names comes back with all labels",
        type=[suffix[1:] for suffix in _FORMATS] if project is not None else ["jsonl"],
        key=f"import_file_{place}",
    )
    kept = f"import_report_{place}"
    if uploaded is not None:
        st.button(
            "Import", icon=":material/upload:", on_click=_take, args=(store, project, kept), key=f"import_{place}"
        )
    if kept in st.session_state:
        say(st.session_state[kept], key=f"import_told_{place}")


def _take(store: Store, project: ProjectRow | None, kept: str) -> None:
    uploaded = st.session_state[kept.replace("report", "file")]
    if uploaded is not None:
        suffix = Path(uploaded.name).suffix.lower()
        st.session_state[kept] = bring_in(store, project, uploaded.getvalue(), suffix)


def bring_in(store: Store, project: ProjectRow | None, data: bytes, suffix: str) -> list[Line]:
    """Import a file, and say what came of it."""
    wishes = Wishes() if project is None else Wishes(project.name, None, _runs_of(store, project))
    try:
        return report_lines(import_labels(store.database(), read_labels(data, suffix), wishes))
    except UserError as error:
        return [("bad", f"Nothing was imported: {error}")]


def report_lines(report: ImportReport) -> list[Line]:
    """What an import did, in sentences; of many faults the first ones."""
    people = "1 person" if report.people == 1 else f"{report.people:,} people"
    done = (
        f"{report.changes:,} changes by {people} came in, {report.known:,} were there already; "
        f"{report.items:,} items added."
    )
    left_out = len(report.problems)
    told: list[Line] = [("warn", str(problem)) for problem in report.problems[:_PROBLEMS_SHOWN]]
    more: list[Line] = [("warn", f"and {left_out - _PROBLEMS_SHOWN:,} more")] if left_out > _PROBLEMS_SHOWN else []
    head: list[Line] = [("", f"What did not fit and was left out ({left_out:,}):")] if left_out else []
    return [("good", done), *(("good", f"Project created: {name}") for name in report.created), *head, *told, *more]


def _runs_of(store: Store, project: ProjectRow) -> tuple[int, ...]:
    """The runs that the project's chains were drawn from; all where that is not known."""
    drawn = project.sample.get("runs")
    uids = drawn if isinstance(drawn, list | tuple) else ()
    rows = store.runs()
    return tuple(run.id for run in rows if run.uid in uids) or tuple(run.id for run in rows)
