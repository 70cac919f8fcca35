"""The list of labelling projects: how far each is, and doors to its parts."""

from __future__ import annotations

from collections.abc import Sequence

from app.formats import percent
from app.state import AnnotateState
from app.views.project_table import Cell, below, beside, column, door, door_to, draw_table, meter, number, tag, words
from db.annotation_views import ProjectRow

_COLUMNS = (
    column("Project"),
    column("Items", right=True, hint="Chains to label, control items not counted"),
    column("Submitted", right=True, hint="Of the shares of all items: items times people each"),
    column("People", right=True, wide=True),
    column("To decide", right=True, hint="Items on which people differ and nobody decided"),
    column("Created", wide=True, hint="Universal time"),
    column("Go to"),
)


def show_projects(projects: Sequence[ProjectRow], total: int, person: str) -> None:
    """Draw a page of the list of so many; whoever opens a project stays the `person` they are."""
    count = f"{total} project{'' if total == 1 else 's'}"
    draw_table("Projects", _COLUMNS, [project_cells(each, person) for each in projects], key="projects", note=count)


def project_cells(project: ProjectRow, person: str) -> list[Cell]:
    """A row of the list."""
    work = AnnotateState(project=project.name, person=person)
    total = project.items * project.overlap
    share = project.submitted / total if total else 0.0
    rubric = f"rubric {project.rubric.get('name', '')}, {each_for(project.overlap)}"
    doors = [
        door("progress", AnnotateState(project.name, person, "progress")),
        door("disagreements", AnnotateState(project.name, person, "disagreements")),
        door_to("agreement", "agreement", {"project": [project.name]}),
    ]
    return [
        [
            door(project.name, work, "Label its items"),
            *([tag("closed")] if project.closed else []),
            tag("blind" if project.blind else "open"),
            below(rubric),
        ],
        [number(project.items)],
        [meter(share), words(f"{project.submitted:,} of {total:,}"), beside(f"{percent(share)} %")],
        [number(project.people)],
        [
            door(f"{project.disputed:,}", AnnotateState(project.name, person, "disagreements"))
            if project.disputed
            else number(0)
        ],
        [words(f"{project.created:%Y-%m-%d}")],
        doors,
    ]


def each_for(overlap: int) -> str:
    """How many people label an item."""
    return f"each item for {overlap} {'person' if overlap == 1 else 'people'}"
