"""The pages around labelling: what they send, what the form makes and refuses, what comes in and goes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from app.annotation_projects import Control, ProjectOrder, make_project
from app.label_export import labels_of
from app.label_files import write_labels
from app.standing import left, seconds_left, standing
from app.state import AnnotateState, run_tokens
from app.store import Store
from app.views.disagreements import differences_of, next_open
from app.views.item_history import change_cells
from app.views.label_transfer import bring_in, report_lines
from app.views.project_form import Filled, create
from app.views.project_progress import item_cells, person_cells, state_lines
from db.annotation_slots import adjudicate, hand_out, release, to_label
from db.annotation_views import Change, ProjectRow
from db.annotations import close_project, delete_project, record
from db.queries_annotations import get_project, history, item_rows, labels
from db.queries_runs import list_runs
from db.queries_texts import Database
from evaluators.label_rubric import load_label_rubric

from .labelled_runs import label, open_labels, project_of, store_run

STEPS = load_label_rubric("steps")
Draw = Callable[..., AppTest]
Sent = Callable[[AppTest, str], dict[str, Any]]


@pytest.fixture
def engine(tmp_path: Path) -> Database:
    """A run of six chains of two steps, q1 and q2 of them right."""
    store_run(tmp_path, "eval", right=("q1", "q2"))
    return open_labels(tmp_path)


@pytest.fixture
def project(engine: Database) -> ProjectRow:
    """All six chains for two people each."""
    return make_project(engine, order(engine))


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = f"sqlite:///{tmp_path / 'steper.db'}"
    monkeypatch.setenv("STEPER_DATABASE_URL", place)
    return place


def order(engine: Database, **changes: Any) -> ProjectOrder:
    (run,) = list_runs(engine)
    return ProjectOrder(**{"name": "two people", "run_ids": (run.id,), "rubric": STEPS, "overlap": 2, **changes})


def differ(engine: Database, name: str) -> None:
    """Let ann and bob differ by 2 on q1's second step and by 1 on q2's first."""
    label(engine, name, "ann", {"q1": [(1, "rating", 1.0), (2, "rating", 1.0)], "q2": [(1, "rating", 1.0)]}, 30.0)
    label(engine, name, "bob", {"q1": [(1, "rating", 1.0), (2, "rating", -1.0)], "q2": [(1, "rating", 0.0)]}, 10.0)


def item_of(engine: Database, project: ProjectRow, key: str) -> int:
    return next(row.id for row in item_rows(engine, project.id) if row.question_key == key)


def decide(engine: Database, project: ProjectRow, key: str, number: int, value: float) -> None:
    item = item_of(engine, project, key)
    adjudicate(engine, project.id, "dora", item)
    changes = [Change("d1", item, number, "rating", value), Change("d2", item, 0, "submit", None)]
    assert not record(engine, project.id, "dora", changes, role="adjudicate").refused


def said(cells: Any) -> list[str]:
    """The words of each cell of a row."""
    return [" ".join(part.get("who", "") + part.get("text", part.get("name", "")) for part in cell) for cell in cells]


# Standing


def test_what_is_left_takes_as_long_as_the_work_so_far(engine: Database, project: ProjectRow) -> None:
    differ(engine, project.name)
    now = project_of(engine, project.name)
    people = standing(engine, now).people
    # Six items for two people each, four of these twelve shares submitted in 2 x 30 s and 2 x 10 s.
    assert left(now) == 8
    assert seconds_left(now, people) == pytest.approx(8 * 80 / 4)
    assert seconds_left(project, ()) is None


def test_agreement_and_control_accuracy_count_what_was_submitted(engine: Database) -> None:
    control = Control("q1", {"1/rating": 1.0, "2/rating": "bad"})
    project = make_project(engine, order(engine, controls=(control,)))
    differ(engine, project.name)
    found = standing(engine, project_of(engine, project.name))
    # Of the three steps that both labelled, they agree on one.
    (rating,) = found.agreed
    assert (rating.verdict, rating.raw.units) == ("rating", 3)
    assert rating.raw.value == pytest.approx(1 / 3)
    assert {name: (share.right, share.n) for name, share in found.accuracy.items()} == {"ann": (1, 2), "bob": (2, 2)}


# Disagreements


def test_disagreements_stand_widest_first_and_the_next_open_one_is_in_another_item(
    engine: Database, project: ProjectRow
) -> None:
    differ(engine, project.name)
    q1, q2 = item_of(engine, project, "q1"), item_of(engine, project, "q2")
    found = differences_of(labels(engine, project.id), STEPS)
    assert [(each.found.item, each.found.number, each.found.spread) for each in found] == [(q1, 2, 2.0), (q2, 1, 1.0)]
    assert next_open(found, None) == (q1, 2)
    assert next_open(found, q1) == (q2, 1)
    assert next_open(found, q2) == (q1, 2)
    assert next_open(found, q1, others=[q2]) is None
    decide(engine, project, "q1", 2, -1.0)
    after = differences_of(labels(engine, project.id), STEPS)
    assert next_open(after, q1) == (q2, 1)
    assert next_open(after, q2) is None


def test_the_list_shows_who_said_what_and_what_was_decided(
    engine: Database, project: ProjectRow, url: str, draw: Draw, sent: Sent
) -> None:
    differ(engine, project.name)
    params = {"project": project.name, "view": "disagreements", "as": "dora"}
    first, second = sent(draw("annotate", **params), "project_table")["rows"]
    assert said(first)[1:5] == ["step 2 agg", "rating", "anngood bobbad", "open"]
    assert said(second)[1:5] == ["step 1 init", "rating", "anngood bobneutral", "open"]
    q1 = item_of(engine, project, "q1")
    assert parse_qs(first[0][0]["href"].partition("?")[2]) == {
        "project": ["two people"],
        "as": ["dora"],
        "item": [str(q1)],
        "place": ["2"],
    }
    adjudicate(engine, project.id, "eve", item_of(engine, project, "q2"))
    decide(engine, project, "q1", 2, -1.0)
    (still,) = sent(draw("annotate", **params), "project_table")["rows"]
    assert said(still)[4] == "open eve is deciding it"
    (decided,) = sent(draw("annotate", **params, show="decided"), "project_table")["rows"]
    assert said(decided)[4] == "bad"


def test_what_others_said_is_hidden_from_who_is_labelling_the_item(
    engine: Database, url: str, draw: Draw, sent: Sent
) -> None:
    project = make_project(engine, order(engine, name="three people", overlap=3))
    differ(engine, project.name)
    label(engine, project.name, "cara", {"q1": [(2, "rating", 1.0)]})
    params = {"project": project.name, "view": "disagreements", "as": "cara"}
    open_, shut = sent(draw("annotate", **params), "project_table")["rows"]
    assert said(open_)[3] == "anngood bobbad caragood" and "href" in open_[0][0]
    assert said(shut)[3:] == ["shown once you have submitted it", "yours to label", "–"]
    assert "href" not in shut[0][0]
    q2 = item_of(engine, project, "q2")
    refused = draw("annotate", project=project.name, item=str(q2), **{"as": "cara"})
    assert "you are labelling this item" in refused.code[0].value


def test_what_others_said_is_hidden_from_a_labeller_who_may_yet_be_handed_the_item(
    engine: Database, url: str, draw: Draw, sent: Sent
) -> None:
    project = make_project(engine, order(engine, name="three people", overlap=3))
    differ(engine, project.name)
    params = {"project": project.name, "view": "disagreements"}
    # Who has labelled nothing here reads everything, such as whoever decides.
    rows = sent(draw("annotate", **params, **{"as": "cara"}), "project_table")["rows"]
    assert ["href" in row[0][0] for row in rows] == [True, True]
    q1, q2 = (item_of(engine, project, key) for key in ("q1", "q2"))
    hand_out(engine, project.id, "cara", 1)
    # Nor has who gave everything back, such as who only looked.
    hand_out(engine, project.id, "eve", 1)
    release(engine, project.id, "eve")
    assert to_label(engine, project.id, "eve") == frozenset()
    assert to_label(engine, project.id, "cara") >= {q1, q2}
    assert to_label(engine, project.id, "dan") == to_label(engine, project.id, "") == frozenset()
    label(engine, project.name, "cara", {"q1": [(2, "rating", 1.0)]})
    assert q1 not in to_label(engine, project.id, "cara") and q2 in to_label(engine, project.id, "cara")
    close_project(engine, project.id, True)
    release(engine, project.id, "cara")
    assert to_label(engine, project.id, "cara") == frozenset()


def test_no_disagreements_are_told_apart_from_none_possible(engine: Database, url: str, draw: Draw, sent: Sent) -> None:
    make_project(engine, order(engine, name="alone", overlap=1))
    make_project(engine, order(engine, name="together"))
    alone = sent(draw("annotate", project="alone", view="disagreements"), "project_table")
    together = sent(draw("annotate", project="together", view="disagreements"), "project_table")
    assert "for one person" in alone["empty"]
    assert "differ nowhere so far" in together["empty"]


# Progress and history


def test_a_person_s_row_has_pace_and_median(engine: Database, project: ProjectRow) -> None:
    differ(engine, project.name)
    ann, _ = standing(engine, project).people
    # Two items in a minute are 120 an hour; four more are held.
    assert said(person_cells(ann, None))[:7] == ["ann", "2", "0", "4", "120", "30.0 s", "–"]


def test_progress_says_when_the_sample_left_fewer_items_than_asked_for(project: ProjectRow) -> None:
    lines = [text for _, text in state_lines(project, ())]
    assert lines[0] == "0 of 12 submitted (0.0 %), 12 left."
    assert "which leaves 6 of the 50 asked for" in lines[1]


def test_the_sample_of_an_imported_project_may_say_anything(project: ProjectRow) -> None:
    odd = dataclasses.replace(project, sample={"sample": "random", "count": "50"})
    assert "sample random, seed 0" in state_lines(odd, ())[1][1]


def test_what_is_submitted_while_a_file_is_made_is_in_it_whole(engine: Database, project: ProjectRow) -> None:
    def submitted(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM slots" in statement and not done:
            done.append(statement)
            label(engine, project.name, "ann", {"q1": [(1, "rating", 1.0), (2, "rating", 1.0)]})

    done: list[str] = []
    hand_out(engine, project.id, "ann", 1)
    sa.event.listen(engine, "after_cursor_execute", submitted)
    shares = {share.item.question: share for share in labels_of(engine, project).shares}
    assert done and shares["q1"].state == "submitted" and shares["q1"].changes[-1].field == "submit"
    assert shares["q2"].state == "held"


def test_which_items_are_controls_is_not_told(engine: Database) -> None:
    project = make_project(engine, order(engine, controls=(Control("q1", {"1/rating": 1.0}),)))
    rows = item_rows(engine, project.id)
    assert [row.control for row in rows].count(True) == 1
    cells = [item_cells(row, "Where?", AnnotateState(project.name)) for row in rows]
    assert len({str(row[1:]) for row in cells}) == 1


def test_the_history_tells_each_change_in_words(engine: Database, project: ProjectRow) -> None:
    item = item_of(engine, project, "q1")
    given = [
        (1, "rating", 1.0),
        (1, "rating", None),
        (1, "tags", ("wrong_entity",)),
        (2, "comment", "**no**"),
        (0, "verdict", 0.5),
    ]
    label(engine, project.name, "ann", {"q1": given}, 75.0)
    decide(engine, project, "q1", 1, -1.0)
    told = [said(change_cells(row, STEPS))[1:] for row in history(engine, project.id, item_id=item)]
    assert told == [
        ["ann", "step 1", "rating good"],
        ["ann", "step 1", "rating cleared"],
        ["ann", "step 1", "tags wrong entity"],
        ["ann", "step 2", "comment **no**"],
        ["ann", "whole chain", "verdict partly"],
        ["ann", "", "submitted after 1 min 15 s of work"],
        ["dora decides", "step 1", "rating bad"],
        ["dora decides", "", "submitted"],
    ]


def test_an_item_s_history_is_shut_to_who_is_labelling_it(
    engine: Database, project: ProjectRow, url: str, draw: Draw, sent: Sent
) -> None:
    label(engine, project.name, "ann", {"q1": [(1, "rating", 1.0)]})
    label(engine, project.name, "bob", {"q2": [(1, "rating", 1.0)]})
    params = {"project": project.name, "view": "history", "item": str(item_of(engine, project, "q1"))}
    shut = sent(draw("annotate", **params, **{"as": "bob"}), "project_words")
    assert "once you have submitted it" in shut["lines"][0]["text"]
    assert len(sent(draw("annotate", **params, **{"as": "ann"}), "project_table")["rows"]) == 2
    strange = sent(draw("annotate", **{**params, "item": "999"}), "project_words")
    assert "not in this project" in strange["lines"][0]["text"]


# The list and the form


def test_the_list_has_numbers_and_doors(
    engine: Database, project: ProjectRow, url: str, draw: Draw, sent: Sent
) -> None:
    differ(engine, project.name)
    (row,) = sent(draw("annotate"), "project_table")["rows"]
    assert said(row)[1:5] == ["6", " 4 of 12 33.3 %", "2", "2"]
    assert [part["href"] for part in row[6]] == [
        "annotate?project=two+people&view=progress",
        "annotate?project=two+people&view=disagreements",
        "agreement?project=two+people",
    ]


def filled(engine: Database, **changes: Any) -> Filled:
    runs = tuple(run_tokens(list_runs(engine)))
    base = {"name": "new one", "runs": runs, "rubric": "steps", "sample": "random", "count": 4}
    return Filled(**{**base, "overlap": 2, "blind": False, "seed": 3, **changes})


def test_the_form_makes_a_project(engine: Database) -> None:
    name, faults = create(engine, filled(engine, name="  new   one "), run_tokens(list_runs(engine)))
    assert (name, faults) == ("new one", {})
    made = project_of(engine, "new one")
    assert (made.items, made.overlap, made.blind, made.seed) == (4, 2, False, 3)
    assert made.rubric["name"] == "steps"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": " "}, "name", "Give the project a name"),
        ({"name": "two people"}, "name", "of this name already"),
        ({"name": "x" * 81}, "name", "80 are the most"),
        ({"runs": ()}, "runs", "at least one run"),
        ({"runs": ("gone",)}, "runs", "not in the database any more"),
        ({"sample": "low-judge-agreement"}, "sample", "no votes on these runs differ"),
    ],
)
def test_the_form_says_what_is_wrong_beside_the_field(
    engine: Database, project: ProjectRow, changes: dict[str, Any], field: str, words: str
) -> None:
    _, faults = create(engine, filled(engine, **changes), run_tokens(list_runs(engine)))
    assert list(faults) == [field]
    assert words in faults[field]


def test_the_form_keeps_what_was_filled_in_beside_its_faults(
    engine: Database, url: str, draw: Draw, sent: Sent
) -> None:
    test = draw("annotate")
    test.text_input(key="new_name").set_value("kept")
    test.number_input(key="new_count").set_value(3)
    (create_button,) = [each for each in test.button if each.label == "Create project"]
    create_button.click()
    test.run()
    assert test.text_input(key="new_name").value == "kept"
    assert "at least one run" in sent(test, "project_words")["lines"][0]["text"]
    test.multiselect(key="new_runs").set_value(list(run_tokens(list_runs(engine))))
    (create_button,) = [each for each in test.button if each.label == "Create project"]
    create_button.click()
    test.run()
    made = get_project(engine, "kept")
    assert made is not None and made.items == 3
    assert test.query_params["view"] == "progress"


# Work


def test_unsent_labels_are_kept_under_a_name_that_no_other_database_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Draw, sent: Sent
) -> None:
    names, ids = [], []
    for place in (tmp_path / "one", tmp_path / "two"):
        store_run(place, "eval", right=())
        engine = open_labels(place)
        made = make_project(engine, order(engine))
        monkeypatch.setenv("STEPER_DATABASE_URL", f"sqlite:///{place / 'steper.db'}")
        names += [sent(draw("annotate", project=made.name, **{"as": "ann"}), "annotate")["name"] for _ in range(2)]
        ids.append(made.id)
    assert ids == [1, 1]
    assert names[0] == names[1] != names[2] == names[3]


# Import


def told_of(engine: Database, project: ProjectRow) -> list[Any]:
    """All changes, in an order that does not depend on when they were stored."""
    rows = history(engine, project.id)
    return sorted((row.at, row.annotator, row.number, row.field, str(row.value)) for row in rows)


def test_an_export_brings_a_deleted_project_back(engine: Database, project: ProjectRow, url: str) -> None:
    differ(engine, project.name)
    file = write_labels(labels_of(engine, project), ".jsonl")
    before = told_of(engine, project)
    delete_project(engine, project.id)
    lines = bring_in(Store(url, 0), None, file, ".jsonl")
    assert lines[-1] == ("good", "Project created: two people")
    again = project_of(engine, "two people")
    assert told_of(engine, again) == before
    assert bring_in(Store(url, 0), again, file, ".jsonl")[0][1].startswith("0 changes by 2 people came in, 10 were")


def test_an_import_tells_what_did_not_fit(engine: Database, project: ProjectRow, url: str) -> None:
    label(engine, project.name, "ann", {"q1": [(1, "rating", 1.0), (2, "rating", -1.0)]})
    lines = write_labels(labels_of(engine, project), ".csv").decode().splitlines()
    broken = [line.replace(",-1,", ",7,").replace(",-1.0,", ",7.0,") for line in lines]
    assert broken != lines
    told = bring_in(Store(url, 0), project, "\n".join(broken).encode(), ".csv")
    assert told[1] == ("", "What did not fit and was left out (1):")
    assert told[2][0] == "warn" and "unknown value 7.0 of rating" in told[2][1]
    ((tone, why),) = bring_in(Store(url, 0), project, b"\xff\xfe\x00", ".csv")
    assert tone == "bad" and "no UTF-8" in why


def test_of_many_faults_the_first_are_told() -> None:
    from app.label_import import ImportReport
    from app.label_records import Problem

    problems = tuple(Problem(number, "no") for number in range(1, 31))
    lines = report_lines(ImportReport((), (), 0, 1, 2, 0, problems))
    assert lines[0] == ("good", "2 changes by 1 person came in, 0 were there already; 0 items added.")
    assert lines[-1] == ("warn", "and 10 more")
    assert len(lines) == 23
