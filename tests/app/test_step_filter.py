"""People's labels as a filter of `steper collect`: what they reject is not learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.step_filter import StepFilter, StepLabel, read_step_labels, with_labels
from steper_core.errors import UserError
from steper_core.records import Chain, Question, Step, StopReason, ability_of
from steper_core.rundir import RunDir

WORLD = ("worlds.passages=60", "worlds.train_questions=6", "worlds.held_out_questions=0", "worlds.test_questions=1")
QUESTION = Question(id="q", dataset="d", text="Where?", answer="Oslo")


def chain(*lines: str) -> Chain:
    steps = tuple(
        Step(
            number=number,
            ability=ability_of(number, len(lines)),
            query="",
            retrieved=(),
            rationale=line,
            prompt_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        for number, line in enumerate(lines, start=1)
    )
    return Chain(question_id="q", steps=steps, answer="Oslo", stop_reason=StopReason.ANSWERED)


def label(step: int = 1, rationale: str = "It is here.", kept: bool = False, **changes: Any) -> StepLabel:
    return StepLabel(
        **{"dataset": "d", "question_id": "q", "step": step, "rationale": rationale, "kept": kept} | changes
    )


def test_a_rejected_step_rejects_its_chain_with_its_tags() -> None:
    labels = StepFilter((label(1, "It is here.", kept=True), label(2, "So it is.", tags=("wrong_entity", "premature"))))
    said = labels.rejection(QUESTION, chain("It is here.", "So it is."))
    assert said == "step 2 rejected by people (wrong_entity, premature)"


@pytest.mark.parametrize(
    "other",
    [
        {"rationale": "It is there."},
        {"step": 2},
        {"question_id": "p"},
        {"dataset": "e"},
        {"kept": True},
    ],
)
def test_a_label_of_another_text_place_or_question_rejects_nothing(other: dict[str, Any]) -> None:
    assert StepFilter((label(**other),)).rejection(QUESTION, chain("It is here.", "Thus.")) is None


@pytest.mark.parametrize("kept_first", [True, False])
def test_of_two_labels_of_one_step_the_rejecting_one_counts(kept_first: bool) -> None:
    both = (label(kept=kept_first), label(kept=not kept_first))
    assert StepFilter(both).rejection(QUESTION, chain("It is here.")) == "step 1 rejected by people"
    assert StepFilter(both).digest == StepFilter((label(),)).digest


def test_the_digest_tells_decisions_apart_and_not_their_order() -> None:
    one, other = label(1), label(2, kept=True)
    assert StepFilter((one, other)).digest == StepFilter((other, one)).digest
    assert StepFilter((one,)).digest != StepFilter((label(1, kept=True),)).digest


def test_labels_that_occur_in_chains_are_counted() -> None:
    labels = StepFilter((label(1), label(2), label(1, "It is there.")))
    assert labels.matching([(QUESTION, chain("It is here.", "Thus."))]) == 1
    assert labels.places == 3


def test_the_other_rules_come_first() -> None:
    rule = with_labels(lambda _question, _chain: "answer fails em", StepFilter((label(),)))
    assert rule(QUESTION, chain("It is here.")) == "answer fails em"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no labels"),
        ('{"dataset": "d"}\n', "line 1: field 'question_id'"),
        (label().model_dump_json() + "\n{torn", "line 2"),
        ('{"dataset": "d", "question_id": "q", "step": 0, "rationale": "", "kept": true}', "field 'step'"),
    ],
)
def test_a_file_at_fault_is_refused_whole(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "steps.jsonl"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        read_step_labels(file)


def collect(folder: Path, name: str, *more: str) -> Result:
    settings = [part for setting in WORLD for part in ("-s", setting)]
    return CliRunner().invoke(main, ["collect", "--name", name, "--runs", str(folder), *settings, *more])


def test_what_people_rejected_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPER_DATABASE_URL", raising=False)
    assert collect(tmp_path, "all").exit_code == 0
    before = {chain.question_id: chain for chain in RunDir(tmp_path / "all").chains()}
    dataset = next(RunDir(tmp_path / "all").questions()).dataset
    bad, good, *_ = sorted(before)
    rows = [
        {
            "question_id": bad,
            "step": 2,
            "rationale": before[bad].steps[1].rationale,
            "kept": False,
            "tags": ["premature"],
        },
        {"question_id": good, "step": 1, "rationale": before[good].steps[0].rationale, "kept": True},
        {"question_id": good, "step": 1, "rationale": "Of another teacher.", "kept": False},
    ]
    file = tmp_path / "steps.jsonl"
    file.write_text("\n".join(json.dumps({"dataset": dataset, **row}) for row in rows))
    result = collect(tmp_path, "better", "--labels", str(file))
    assert result.exit_code == 0, result.output
    run = RunDir(tmp_path / "better")
    # `steper train` reads the chains of the run, and no others.
    assert {chain.question_id for chain in run.chains()} == set(before) - {bad}
    assert [(entry.chain.question_id, entry.reason) for entry in run.rejected()] == [
        (bad, "step 2 rejected by people (premature)")
    ]
    assert run.info.config["labels"] == read_step_labels(file).digest
    assert "2 of 3 labelled steps occur" in result.output
    assert "labels that match no step: 1" in result.output
    # Other labels are other settings.
    file.write_text(json.dumps({"dataset": dataset, **rows[1]}))
    refused = collect(tmp_path, "better", "--labels", str(file))
    assert refused.exit_code == 2 and "labels" in refused.stderr
