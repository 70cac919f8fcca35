"""Agreement of judge runs from the command line, on votes worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from steper_core.records import Judgement
from steper_core.run_records import RunKind
from steper_core.rundir import hold_run, open_run


def judge_run(runs: Path, name: str, votes: Sequence[Sequence[float | None]], judged: str = "u") -> None:
    """A judge run; votes[v][q] is vote v on question q, None a vote without verdict."""
    with open_run(
        runs / name, kind=RunKind.JUDGE, config={"name": name}, dataset="d", model="m", judged=(judged,)
    ) as run:
        run.append_judgements(
            Judgement(
                question_id=f"q{question}",
                rubric="abilities",
                version="1",
                judge="m",
                vote=vote,
                verdicts={} if value is None else {"initialization": value},
                key="k",
            )
            for vote, values in enumerate(votes, start=1)
            for question, value in enumerate(values)
        )


def steper(runs: Path, *names: str) -> Result:
    return CliRunner().invoke(main, ["agreement", *names, "--runs", str(runs)])


def test_votes_of_one_judge_are_compared(tmp_path: Path) -> None:
    judge_run(tmp_path, "one", [[1, 1, 0, 0], [1, 0, 0, None]])
    result = steper(tmp_path, "one")
    assert result.exit_code == 0, result.output
    assert "vote 1 against vote 2: raw 0.67" in result.output
    # Chance: (2/3)(1/3) + (1/3)(2/3) = 4/9; kappa = (2/3 - 4/9) / (5/9) = 0.4.
    assert "Cohen's kappa 0.40" in result.output
    assert "labels taken as nominal" in result.output


def test_judges_are_compared_by_the_majority_of_their_votes(tmp_path: Path) -> None:
    judge_run(tmp_path, "one", [[1, 1], [1, 0], [0, 0]])
    judge_run(tmp_path, "two", [[1, 1]])
    result = steper(tmp_path, "one", "two")
    assert "one against two: raw 0.50" in result.output


def test_a_vote_that_was_asked_again_counts_once(tmp_path: Path) -> None:
    judge_run(tmp_path, "one", [[1, 1]])
    judge_run(tmp_path, "two", [[0, 1]])
    # Asked anew, as after a change of the prompt: not a tie with what was said before.
    with hold_run(tmp_path / "two") as run:
        again = [each.model_copy(update={"key": "j", "verdicts": {"initialization": 1.0}}) for each in run.judgements()]
        run.append_judgements(again)
    assert "one against two: raw 1.00" in steper(tmp_path, "one", "two").output


def test_a_tie_among_votes_is_no_label(tmp_path: Path) -> None:
    judge_run(tmp_path, "one", [[1, 1], [1, 0]])
    judge_run(tmp_path, "two", [[1, 1]])
    assert "raw 1.00" in steper(tmp_path, "one", "two").output


def test_what_follows_from_the_labels_is_no_label_more(tmp_path: Path) -> None:
    """Two votes on two hops of two questions: three of four are equal; with sqa and ri it would be five of eight."""
    votes = {1: ((1, 1), (1, 0)), 2: ((1, 0), (1, 0))}
    with open_run(tmp_path / "one", kind=RunKind.JUDGE, config={}, dataset="d", model="m", judged=("u",)) as run:
        run.append_judgements(
            Judgement(
                question_id=f"q{question}",
                rubric="subqa",
                version="1",
                judge="m",
                vote=vote,
                verdicts={
                    "hop1": first,
                    "hop2": second,
                    "sqa": (first + second) / 2,
                    "ri": float(first == second == 1),
                },
                key="k",
            )
            for vote, answers in votes.items()
            for question, (first, second) in enumerate(answers)
        )
    said = " ".join(steper(tmp_path, "one").output.split())
    assert "labels taken as nominal" in said
    assert "vote 1 against vote 2: raw 0.75" in said
    assert re.findall(r"│ ([^│]+) │ (\d\.\d\d) ", said) == [
        ("all", "0.75"),
        ("hop1", "1.00"),
        ("hop2", "0.50"),
        ("sqa (computed, ordinal)", "0.50"),
        ("ri (computed, nominal)", "0.50"),
    ]


def test_a_scale_is_taken_as_one(tmp_path: Path) -> None:
    judge_run(tmp_path, "one", [[1, -1, 0], [1, 0, 0]])
    assert "labels taken as ordinal" in steper(tmp_path, "one").output


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("one",), "has one vote on each thing"),
        (("one", "elsewhere"), "judged different runs"),
        (("one", "none"), "no run named 'none'"),
        (("one", "train"), "train is a train run"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    judge_run(tmp_path, "one", [[1]])
    judge_run(tmp_path, "elsewhere", [[1]], judged="v")
    with open_run(tmp_path / "train", kind=RunKind.TRAIN, config={}, dataset="d", model="m"):
        pass
    result = steper(tmp_path, *names)
    assert result.exit_code == 2
    assert said in result.stderr
