"""The compare page on small databases whose every figure is worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.state import ChainsState, run_tokens
from db.ingest import ingest_all
from db.queries import list_runs
from db.session import open_database
from evaluators.intervals import figures_of
from steper_core.records import Chain, Hop, Question, Score, Step, StopReason, ability_of
from steper_core.run_records import CheckpointRef, Rejection, RunKind, TrainPoint
from steper_core.rundir import open_run

Draw = Callable[..., AppTest]
HOSTILE = "<img src=x onerror=alert(1)> **b** \u202e"
A, B = "reference", "other"
RIGHT_A, RIGHT_B = {0, 1, 2}, {1, 2, 3, 4, 5}
"""Of questions 0 to 5: B fixes 3, 4 and 5, breaks 0, both are right on 1 and 2, both wrong on none."""


@dataclasses.dataclass
class Folder:
    """Run directories of a test, and the database that holds them."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "steper.db"

    def ingest(self) -> dict[str, str]:
        """Read the runs; their names in URLs by their names."""
        engine = open_database(f"sqlite:///{self.database}")
        assert [outcome.error for outcome in ingest_all(engine, self.path) if outcome.error] == []
        tokens = {run.name: token for token, run in run_tokens(list_runs(engine)).items()}
        engine.dispose()
        return tokens

    def evaluate(
        self,
        name: str,
        right: Iterable[int],
        *,
        asked: Iterable[int] = range(6),
        version: str = "1",
        scores: Mapping[str, Mapping[int, float | None]] = {},
        **changes: Any,
    ) -> None:
        """An evaluation that is right on these questions; odd ones are bridges of three hops."""
        questions = [question(number) for number in asked]
        numbers = {own.id: int(own.id[1:]) for own in questions}
        known = set(right)
        values = [score(own, "em", float(numbers[own] in known), version=version) for own in numbers]
        values += [
            score(own, "sub_answer", float(numbers[own] in known), "steps", step=step)
            for own in numbers
            for step in (1, 2)
        ]
        values += [score(f"q{n}", key, value, "own") for key, own in scores.items() for n, value in own.items()]
        facts = changes.pop("facts", {})
        with self.open(name, RunKind.EVALUATE, **changes) as run:
            run.write_questions(questions)
            run.append_chains(chain(own) for own in questions)
            run.append_scores(values)
            figures = figures_of(values, numbers)
            run.update(figures={key: figure.model_dump() for key, figure in figures.items()}, facts=facts)

    def train(self, name: str, teacher: str, steps: int = 4) -> str:
        """A training run; its uid."""
        with self.open(name, RunKind.TRAIN, config={"teacher_run": teacher}) as run:
            for number in range(1, steps + 1):
                losses = {"initialization": 1.0 / number, "aggregation": 2.0 / number}
                run.append_train_point(
                    TrainPoint(
                        step=number, epoch=0.1, losses=losses, sigmas={"initialization": 1.0, "aggregation": 3.0}
                    )
                )
            run.update(counts={"examples": 24, "chains": 6, "cut": 2, "left_out": 0})
            return run.info.uid

    def collect(self, name: str) -> str:
        """A teacher's run that kept four chains of three steps and rejected two; its uid."""
        with self.open(name, RunKind.COLLECT) as run:
            run.write_questions(question(number) for number in range(6))
            run.append_chains(chain(question(number)) for number in range(4))
            run.append_rejected(Rejection(reason="wrong answer", chain=chain(question(n))) for n in (4, 5))
            run.update(counts={"kept": 4, "rejected: wrong answer": 2})
            return run.info.uid

    def open(self, name: str, kind: RunKind, **changes: Any) -> Any:
        given = {
            "config": {},
            "dataset": "worlds",
            "model": "small",
            "method": "steper",
            "framework": "ircot",
        } | changes
        return open_run(self.path / name, kind=kind, command="steper", **given)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path / "runs")
    made.path.mkdir()
    monkeypatch.setenv("STEPER_DATABASE_URL", f"sqlite:///{made.database}")
    return made


@pytest.fixture
def pair(folder: Folder) -> dict[str, str]:
    folder.evaluate(A, RIGHT_A, method="vanilla-kd")
    folder.evaluate(B, RIGHT_B)
    return folder.ingest()


def question(number: int) -> Question:
    hops = tuple(Hop(question="?", answer="a", statement="s", passage_id=f"p{hop}") for hop in range(2 + number % 2))
    return Question(
        id=f"q{number}",
        dataset="worlds",
        text=f"number {number}",
        answer="a",
        kind=("", "bridge")[number % 2],
        hops=hops,
    )


def chain(own: Question) -> Chain:
    empty = {"query": "q", "retrieved": (), "rationale": "r", "prompt_tokens": 9, "output_tokens": 1, "seconds": 0.5}
    steps = tuple(Step(number=number, ability=ability_of(number, 3), **empty) for number in (1, 2, 3))
    return Chain(question_id=own.id, steps=steps, answer="a", stop_reason=StopReason.ANSWERED)


def score(
    own: str, name: str, value: float | None, evaluator: str = "answers", *, version: str = "1", step: int | None = None
) -> Score:
    reason = None if value is not None else "the gold is missing"
    return Score(
        question_id=own, step=step, name=name, value=value, reason=reason, evaluator=evaluator, version=version
    )


def sent(test: AppTest, title: str) -> dict[str, Any]:
    """What the page sent to the one component with this title."""
    (found,) = [data for data in components(test) if data.get("title") == title]
    return found


def components(test: AppTest) -> list[dict[str, Any]]:
    protos = [element.proto for element in test.get("bidi_component")]
    return [json.loads(proto.json or proto.mixed.json) for proto in protos]


def verdict(test: AppTest) -> dict[str, Any]:
    (found,) = [data for data in components(test) if "sentences" in data]
    return found


def texts(test: AppTest) -> str:
    elements = [*test.markdown, *test.subheader, *test.code, *test.info, *test.warning, *test.error]
    return "\n".join(str(element.value) for element in elements)


def cells(table: dict[str, Any], key: str) -> list[tuple[str, str]]:
    """Means and differences of a row."""
    (row,) = [row for row in table["rows"] if row.get("label") == key]
    return [(cell["main"], (cell.get("difference") or {}).get("text", "")) for cell in row["cells"]]


def test_two_runs_are_told_apart_by_hand_worked_figures(draw: Draw, pair: dict[str, str]) -> None:
    test = draw("compare", run=[pair[A], pair[B]])
    (sentence,) = verdict(test)["sentences"]
    assert sentence.startswith("6 questions cannot tell reference and other apart by em: +33.3 points")
    assert "McNemar p\u00a0=\u00a0.62" in sentence
    table = sent(test, "Scores")
    assert cells(table, "EM") == [("50.0", ""), ("83.3", "+33.3")]
    (row,) = [row for row in table["rows"] if row["label"] == "EM"]
    assert row["focus"] and row["hint"].startswith("the final answer equals")
    assert row["cells"][1]["difference"] | {"side": ""} == {
        "text": "+33.3", "side": "", "note": "", "mark": "", "tone": "grey", "said": "not shown to differ",
    }  # fmt: skip
    assert row["details"][1]["lines"][1:3] == ["3 gained, 1 lost of 6 in both", "Cohen's g +0.25"]
    assert row["cells"][1]["link"] == f"chains?run={pair[A]}&run={pair[B]}"


def test_the_flow_counts_and_leads_to_its_questions(draw: Draw, pair: dict[str, str]) -> None:
    (strip,) = sent(draw("compare", run=[pair[A], pair[B]]), "What became of the answers")["strips"]
    assert [(part["name"], part["count"]) for part in strip["parts"]] == [
        ("both-right", 2), ("fixed", 3), ("broken", 1), ("both-wrong", 0),
    ]  # fmt: skip
    links = [part["link"] for part in strip["parts"]]
    assert links[1] == f"chains?run={pair[A]}&run={pair[B]}&outcome=fixed"
    assert links[3] is None
    listed = draw("chains", run=[pair[A], pair[B]], outcome="fixed")
    assert "1–3 of 3" in json.dumps(components(listed), ensure_ascii=False)


def test_kinds_and_hops_have_their_own_figures_and_doors(draw: Draw, pair: dict[str, str]) -> None:
    test = draw("compare", run=[pair[A], pair[B]])
    kinds, hops = sent(test, "By kind"), sent(test, "By hops")
    assert cells(kinds, "bridge") == [("33.3", ""), ("100.0", "+66.7")]
    assert cells(kinds, "no kind") == [("66.7", ""), ("66.7", "+0.0")]
    assert cells(hops, "2 hops") == cells(kinds, "no kind")
    links = {row["label"]: row["cells"][1]["link"] for table in (kinds, hops) for row in table["rows"]}
    assert links["bridge"].endswith("&kind=bridge")
    assert links["no kind"] is None
    assert links["3 hops"].endswith("&hops=3")


def test_scores_of_steps_stand_by_ability(draw: Draw, pair: dict[str, str]) -> None:
    table = sent(draw("compare", run=[pair[A], pair[B]]), "Steps, by ability")
    heading, *rows = table["rows"]
    assert heading["heading"] == "Sub-answers"
    assert [row["chip"]["colour"] for row in rows] == ["#0072B2", "#E69F00"]
    assert cells(table, "init") == [("50.0", ""), ("83.3", "+33.3")]


def test_an_ability_in_focus_is_named_in_the_verdict(draw: Draw, pair: dict[str, str]) -> None:
    test = draw("compare", run=[pair[A], pair[B]], score="sub_answer", ability="expansion")
    assert "sub_answer (expansion)" in verdict(test)["sentences"][0]
    assert test.session_state["compare_ability"] == "expansion"


def test_a_score_that_nobody_holds_is_told_and_not_thrown(draw: Draw, pair: dict[str, str]) -> None:
    test = draw("compare", run=[pair[A], pair[B]], score="<b>no such</b>")
    assert "No other run holds the chosen score" in verdict(test)["sentences"][0]
    assert cells(sent(test, "Scores"), "EM")[1] == ("83.3", "+33.3")


def test_what_holds_is_marked_by_its_direction(draw: Draw, folder: Folder) -> None:
    many = range(40)
    path = {"right_by_wrong_path": dict.fromkeys(many, 1.0)}, {"right_by_wrong_path": dict.fromkeys(many, 0.0)}
    folder.evaluate(A, range(10), asked=many, scores=path[0] | {"steps_more": dict.fromkeys(many, 0.0)})
    folder.evaluate(B, range(30), asked=many, scores=path[1] | {"steps_more": dict.fromkeys(many, 1.0)})
    tokens = folder.ingest()
    table = sent(draw("compare", run=[tokens[A], tokens[B]], scores="all"), "Scores")
    marks = {row["label"]: row["cells"][1]["difference"] for row in table["rows"]}
    assert (marks["EM"]["mark"], marks["EM"]["text"], marks["EM"]["tone"]) == ("▲", "+50.0", "good")
    assert (marks["Right by wrong path"]["mark"], marks["Right by wrong path"]["text"]) == ("▲", "-100.0")
    assert (marks["Steps more"]["mark"], marks["Steps more"]["tone"]) == ("◆", "")


def test_unscored_is_a_dash_with_its_reason_and_never_nought(draw: Draw, folder: Folder) -> None:
    some = {0: 1.0, 1: 0.5, 2: None, 3: None, 4: None, 5: None}
    folder.evaluate(A, RIGHT_A, scores={"gold_recall": some})
    folder.evaluate(B, RIGHT_B, scores={"gold_recall": dict.fromkeys(range(6))})
    tokens = folder.ingest()
    table = sent(draw("compare", run=[tokens[A], tokens[B]]), "Scores")
    assert cells(table, "Gold recall") == [("75.0", ""), ("–", "")]
    (row,) = [row for row in table["rows"] if row["label"] == "Gold recall"]
    assert row["cells"][0]["title"] == "n = 2; 4 unscored"
    assert row["details"][1]["lines"][-1] == "unscored in the whole run: the gold is missing (6)"


def test_a_difference_on_fewer_questions_than_the_mean_says_so(draw: Draw, folder: Folder) -> None:
    folder.evaluate(A, RIGHT_A, scores={"gold_recall": {0: 0.0, 1: 0.5, 2: None}})
    folder.evaluate(B, RIGHT_B, scores={"gold_recall": {0: 1.0, 1: 1.0, 2: 1.0}})
    tokens = folder.ingest()
    (row,) = [
        row
        for row in sent(draw("compare", run=[tokens[A], tokens[B]]), "Scores")["rows"]
        if row["label"] == "Gold recall"
    ]
    assert (row["cells"][1]["difference"]["text"], row["cells"][1]["difference"]["note"]) == ("+75.0", "of 2 in both")


def test_other_versions_of_a_score_are_not_compared(draw: Draw, folder: Folder) -> None:
    folder.evaluate(A, RIGHT_A)
    folder.evaluate(B, RIGHT_B, version="2")
    tokens = folder.ingest()
    test = draw("compare", run=[tokens[A], tokens[B]])
    assert any("version 2 in other and 1 in reference" in warning for warning in verdict(test)["warnings"])
    assert cells(sent(test, "Scores"), "EM") == [("50.0", ""), ("–", "")]
    (strip,) = sent(test, "What became of the answers")["strips"]
    assert strip["parts"] == []
    assert "versions differ" in strip["said"]


def test_runs_without_a_shared_question_say_so(draw: Draw, folder: Folder) -> None:
    folder.evaluate(A, {0}, asked=range(3))
    folder.evaluate(B, {4}, asked=range(3, 6))
    tokens = folder.ingest()
    test = draw("compare", run=[tokens[A], tokens[B]])
    assert "no question is scored by em for both reference and other" in verdict(test)["sentences"][0]
    assert "compared on the 0 questions" in verdict(test)["warnings"][0]
    assert sent(test, "Scores")["note"].startswith("0 questions in common")
    assert sent(test, "What became of the answers")["strips"][0]["said"] == "no question is scored in both"


def test_the_flow_of_a_pair_counts_all_that_the_pair_shares(draw: Draw, folder: Folder) -> None:
    folder.evaluate(A, RIGHT_A)
    folder.evaluate(B, RIGHT_B)
    folder.evaluate("third", {0}, asked=range(2))
    tokens = folder.ingest()
    test = draw("compare", run=[tokens[A], tokens[B], tokens["third"]])
    assert sent(test, "Scores")["note"].startswith("2 questions in common")
    first, second = sent(test, "What became of the answers")["strips"]
    assert [part["count"] for part in first["parts"]] == [2, 3, 1, 0]
    assert [part["count"] for part in second["parts"]] == [1, 0, 1, 0]


def test_eight_runs_fit_and_a_ninth_is_left_out(draw: Draw, folder: Folder) -> None:
    names = [f"run-{number}" for number in range(9)]
    for number, name in enumerate(names):
        folder.evaluate(name, range(number % 7), seed=number)
    tokens = folder.ingest()
    test = draw("compare", run=[tokens[name] for name in names])
    table = sent(test, "Scores")
    assert [run["letter"] for run in table["runs"]] == list("ABCDEFGH")
    assert len({run["colour"] for run in table["runs"]}) == 8
    assert [run["reference"] for run in table["runs"]] == [True, *[False] * 7]
    assert len(verdict(test)["sentences"]) == 7
    assert cells(table, "EM")[6] == ("100.0", "+100.0")


def test_one_run_is_not_enough_and_none_offers_the_newest(draw: Draw, pair: dict[str, str]) -> None:
    assert "Choose two to 8 evaluation runs" in texts(draw("compare", run=pair[A]))
    test = draw("compare")
    test.button(key="compare_newest").click().run()
    assert test.query_params == {"run": [pair[A], pair[B]]}
    assert verdict(test)["sentences"]


def test_an_empty_database_and_one_without_evaluations_say_what_to_do(draw: Draw, folder: Folder) -> None:
    open_database(f"sqlite:///{folder.database}").dispose()
    assert "No runs yet" in texts(draw("compare"))
    folder.collect("teacher")
    folder.ingest()
    assert "steper evaluate" in texts(draw("compare"))


@pytest.mark.parametrize("token", ["<b>nothing</b>", "ffffffff", "x" * 5000])
def test_a_run_that_does_not_exist_is_told(draw: Draw, pair: dict[str, str], token: str) -> None:
    assert "not in this database" in texts(draw("compare", run=[token, pair[A]]))
    assert "not in this database" in texts(draw("compare", train=token))


def test_a_run_that_is_no_evaluation_is_named_and_left_out(draw: Draw, folder: Folder) -> None:
    folder.evaluate(A, RIGHT_A)
    folder.evaluate(B, RIGHT_B)
    folder.collect("teacher")
    tokens = folder.ingest()
    test = draw("compare", run=[tokens["teacher"], tokens[A], tokens[B]])
    assert "Only evaluations that hold chains" in texts(test)
    assert "not in this database" not in texts(test)
    assert [element.value for element in test.code] == ["teacher"]
    assert [run["name"] for run in sent(test, "Scores")["runs"]] == [A, B]


def test_a_run_without_columns_is_to_be_read_again(draw: Draw, folder: Folder, pair: dict[str, str]) -> None:
    with sqlite3.connect(folder.database) as connection:
        connection.execute("DELETE FROM run_columns WHERE run_id = (SELECT id FROM runs WHERE name = ?)", (B,))
    test = draw("compare", run=[pair[A], pair[B]])
    assert "steper ingest" in texts(test)
    assert B in [element.value for element in test.code]


def test_hostile_names_are_shown_as_they_are_and_stay_out_of_charts(draw: Draw, folder: Folder) -> None:
    costs = {"parameters_total": 1e8, "seconds_per_question": 2.0}
    folder.evaluate(A, RIGHT_A, facts=costs)
    folder.evaluate(HOSTILE, RIGHT_B, facts=costs | {"seconds_per_question": 1.0})
    tokens = folder.ingest()
    test = draw("compare", run=[tokens[A], tokens[HOSTILE]])
    assert sent(test, "Scores")["runs"][1]["name"] == "<img src=x onerror=alert(1)> **b** [U+202E]"
    assert "\u202e" not in json.dumps(components(test), ensure_ascii=False)
    charts = [element.proto.spec for element in test.get("plotly_chart")]
    assert len(charts) == 2
    assert not any("img" in chart for chart in charts)
    assert HOSTILE not in texts(test)


def test_checkpoints_are_drawn_over_the_steps_of_their_training_run(draw: Draw, folder: Folder) -> None:
    uid = folder.train("student", folder.collect("teacher"))
    for step, right in ((2, {0}), (4, RIGHT_B)):
        reference = CheckpointRef(run_uid=uid, run_name="student", step=step)
        folder.evaluate(f"at-{step}", right, checkpoint=reference)
    tokens = folder.ingest()
    test = draw("compare", train=tokens["student"])
    (chart,) = [json.loads(element.proto.spec) for element in test.get("plotly_chart")]
    titles = [note["text"] for note in chart["layout"]["annotations"]]
    assert titles == ["EM, %", "Sub-answer, %", "Loss, nats per target token", "Normalised sigma"]
    assert (chart["data"][0]["x"], [round(y, 1) for y in chart["data"][0]["y"]]) == ([2, 4], [16.7, 83.3])
    test.button(key="compare_checkpoints").click().run()
    assert test.query_params["run"] == [tokens["at-2"], tokens["at-4"]]
    both = draw("compare", run=[tokens["at-2"], tokens["at-4"]])
    assert "Over the steps of training" in texts(both)
    assert cells(sent(both, "Training sets"), "Kept") == [("4", ""), ("4", "")]
    training = draw("training", run=tokens["student"])
    (chart,) = [json.loads(element.proto.spec) for element in training.get("plotly_chart")]
    titles = [note["text"] for note in chart["layout"]["annotations"]]
    assert titles[:3] == ["Loss, nats per target token", "Normalised sigma", "EM, %"]
    (link,) = training.get("page_link")
    assert link.proto.label == "Compare the 2 evaluated checkpoints of A"
    assert f"train={tokens['student']}" in link.proto.query_string


def test_a_training_run_without_evaluations_says_how_to_get_them(
    draw: Draw, folder: Folder, pair: dict[str, str]
) -> None:
    folder.train("student", "unknown")
    tokens = folder.ingest()
    assert "--checkpoint all" in texts(draw("compare", train=tokens["student"]))


def test_outcomes_of_two_runs_are_no_filter_of_one(draw: Draw, pair: dict[str, str]) -> None:
    assert ChainsState.parse({"outcome": ["both-wrong"]}).outcome == "both-wrong"
    one = draw("chains", run=pair[A], outcome="fixed")
    assert one.session_state["chains_outcome"] == ""
    two = draw("chains", run=[pair[A], pair[B]], outcome="broken")
    assert two.session_state["chains_outcome"] == "broken"
    assert "1–1 of 1" in json.dumps(components(two), ensure_ascii=False)


def test_checkpoints_of_one_seed_are_no_seeds(draw: Draw, folder: Folder) -> None:
    folder.evaluate(A, RIGHT_A, method="vanilla-kd")
    folder.evaluate("early", {0}, seed=1)
    folder.evaluate("late", RIGHT_B, seed=1)
    folder.evaluate("another", RIGHT_B, seed=2)
    tokens = folder.ingest()
    same = draw("compare", run=[tokens[A], tokens["early"], tokens["late"]])
    assert verdict(same)["seeds"] == []
    (sentence,) = verdict(draw("compare", run=[tokens[A], tokens["late"], tokens["another"]]))["seeds"]
    assert "vanilla-kd (1 seed)" in sentence
    assert "steper (2 seeds)" in sentence
