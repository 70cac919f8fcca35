"""Runs side by side: shared questions only, one reference, versions never mixed, every p adjusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from app.comparison import Line, compare, label_of, score_names
from app.versions import version_order
from db.queries import RunArrays, RunRow, ScoreArray

MakeRun = Callable[..., RunRow]
KINDS = ("bridge", "comparison")


def arrays(run: int, ids: Sequence[int], kinds: Sequence[int] | None = None) -> RunArrays:
    count = len(ids)
    zeros = np.zeros(count)
    return RunArrays(
        run_id=run,
        question_ids=np.array(ids),
        kinds=KINDS,
        kind_codes=np.array(kinds if kinds is not None else [number % 2 for number in ids]),
        hop_counts=np.array([2 + number % 2 for number in ids]),
        steps=zeros.astype(int),
        passages=zeros.astype(int),
        prompt_tokens=zeros.astype(int),
        output_tokens=zeros.astype(int),
        seconds=zeros,
    )


def score(run: int, values: Sequence[float], name: str = "em", **changes: Any) -> ScoreArray:
    given = {"evaluator": "answers", "version": "1", "ability": "", "reasons": {}} | changes
    return ScoreArray(run_id=run, name=name, values=np.array(values, float), **given)


def cell(line: Line, place: int) -> tuple[float | None, float | None]:
    found = line.cells[place]
    assert found is not None
    return found.figure.mean, found.paired.difference if found.paired else None


def test_runs_are_compared_on_the_questions_they_share(make_run: MakeRun) -> None:
    runs = [make_run(1), make_run(2)]
    found = compare(
        runs,
        [arrays(1, [1, 2, 3, 4]), arrays(2, [3, 4, 5])],
        [score(1, [1, 1, 0, 0]), score(2, [1, 0, 1])],
        names=[("em", "")],
    )
    assert found.shared == 2
    (line,) = found.matrix.lines
    assert (line.label, cell(line, 0), cell(line, 1)) == ("em", (0.0, None), (0.5, 0.5))
    assert "2 questions that all runs answered (run-1 has 4, run-2 has 3)" in found.warnings[0]
    assert "cannot tell run-1 and run-2 apart" in found.verdicts[0]


def test_questions_may_stand_in_any_order(make_run: MakeRun) -> None:
    found = compare(
        [make_run(1), make_run(2)],
        [arrays(1, [7, 5, 9]), arrays(2, [9, 7, 5])],
        [score(1, [1, 0, 0]), score(2, [0, 1, 0])],
        names=[("em", "")],
    )
    paired = found.matrix.lines[0].cells[1]
    assert paired is not None and paired.paired is not None and paired.paired.differing == 0
    assert "have the same em on each of 3 questions" in found.verdicts[0]


def test_a_clear_difference_is_said_with_its_test(make_run: MakeRun) -> None:
    ids = list(range(40))
    found = compare(
        [make_run(1), make_run(2)],
        [arrays(1, ids), arrays(2, ids)],
        [score(1, [0] * 40), score(2, [1] * 12 + [0] * 28)],
    )
    assert found.verdicts[0].startswith("run-2 is right (em) on 12 questions more than run-1 of 40: +30.0 points [")
    assert "McNemar p < .001" in found.verdicts[0]


def test_every_kind_and_hop_count_has_its_line(make_run: MakeRun) -> None:
    ids = [2, 3, 4, 5]
    found = compare(
        [make_run(1), make_run(2)],
        [arrays(1, ids), arrays(2, ids)],
        [score(1, [0, 1, 0, 1]), score(2, [1, 1, 1, 0])],
    )
    assert [(line.label, cell(line, 1)) for line in found.kinds.lines] == [
        ("bridge", (1.0, 1.0)),
        ("comparison", (0.5, -0.5)),
    ]
    assert [line.label for line in found.hops.lines] == ["2 hops", "3 hops"]


def test_scores_of_another_version_are_not_compared_and_told(make_run: MakeRun) -> None:
    ids = [1, 2]
    found = compare(
        [make_run(1), make_run(2)],
        [arrays(1, ids), arrays(2, ids)],
        [score(1, [0, 1], version="2"), score(1, [1, 1]), score(2, [1, 1])],
        names=[("em", "")],
    )
    (line,) = found.matrix.lines
    assert line.cells[1] is None
    assert cell(line, 0) == (0.5, None)  # the later version
    assert "version 1 in run-2 and 2 in run-1: not compared" in found.warnings[0]
    assert found.verdicts == ()


def test_unscored_questions_are_left_out_and_counted(make_run: MakeRun) -> None:
    ids = [1, 2, 3]
    found = compare(
        [make_run(1), make_run(2)],
        [arrays(1, ids), arrays(2, ids)],
        [score(1, [np.nan, 1, 0]), score(2, [1, 1, np.nan])],
        names=[("em", "")],
    )
    first, second = found.matrix.lines[0].cells
    assert first is not None and (first.figure.n, first.figure.unscored) == (2, 1)
    assert second is not None and second.paired is not None and (second.paired.n, second.paired.dropped) == (1, 2)


def test_p_values_are_adjusted_over_the_table(make_run: MakeRun) -> None:
    ids = list(range(20))
    found = compare(
        [make_run(1), make_run(2), make_run(3)],
        [arrays(number, ids) for number in (1, 2, 3)],
        [score(1, [0] * 20), score(2, [1] * 6 + [0] * 14), score(3, [0] * 20)],
        names=[("em", "")],
    )
    cells = found.matrix.lines[0].cells
    assert cells[0] is not None and cells[0].adjusted_p is None
    assert cells[1] is not None and cells[1].paired is not None
    assert cells[1].paired.p == pytest.approx(2 / 2**6)
    assert cells[1].adjusted_p == pytest.approx(4 / 2**6)
    assert "after Holm's correction for 2 comparisons" in found.verdicts[0]


def test_what_else_differs_is_told(make_run: MakeRun) -> None:
    ids = [1]
    runs = [
        make_run(1, config={"reasoning": {"max_steps": 5}, "retrieval": {"top_k": 2}, "corpus": "x"}),
        make_run(2, config={"reasoning": {"max_steps": 4}, "retrieval": {"top_k": 2}, "corpus": "x"}, status="failed"),
    ]
    found = compare(runs, [arrays(1, ids), arrays(2, ids)], [score(1, [1]), score(2, [1])])
    assert found.warnings == (
        "not finished: run-2",
        "run-2 and run-1 differ in more than the model: reasoning.max_steps (5 and 4)",
    )


def test_seeds_of_a_system_are_compared_together(make_run: MakeRun) -> None:
    ids = list(range(30))
    runs = [make_run(1, method="vanilla-kd"), make_run(2, seed=0), make_run(3, seed=1)]
    found = compare(
        runs,
        [arrays(number, ids) for number in (1, 2, 3)],
        [score(1, [0] * 30), score(2, [1] * 15 + [0] * 15), score(3, [1] * 18 + [0] * 12)],
    )
    (sentence,) = found.seeds
    assert "steper (2 seeds)" in sentence and "vanilla-kd (1 seed)" in sentence


def test_what_holm_takes_back_of_systems_over_seeds_is_said(make_run: MakeRun) -> None:
    """Six differing questions are p = 2 * 0.5 ** 6 = .031 alone, and three times that among three comparisons."""
    methods = ("vanilla-kd", "steper", "steper", "answer-kd", "base")
    right = (0, 6, 6, 0, 0)
    runs = [make_run(number, method=method, seed=number) for number, method in enumerate(methods, start=1)]
    own = [arrays(run.id, range(40)) for run in runs]
    scores = [score(run.id, [1] * count + [0] * (40 - count)) for run, count in zip(runs, right, strict=True)]
    steper, *others = compare(runs, own, scores).seeds
    assert "steper (2 seeds) is higher" in steper and "p = .031" in steper
    assert steper.endswith("; not so once 3 comparisons are allowed for")
    assert len(others) == 2 and all("cannot tell" in sentence and "not so" not in sentence for sentence in others)
    (alone,) = compare(runs[:3], own[:3], scores[:3]).seeds
    assert "is higher" in alone and "not so" not in alone


def test_runs_of_other_settings_are_no_seeds_of_one_system(make_run: MakeRun) -> None:
    def of(number: int, temperature: float, **changes: Any) -> RunRow:
        return make_run(number, seed=number, config={"model": {"temperature": temperature}}, **changes)

    runs = [of(1, 0.0, method="vanilla-kd"), of(2, 0.0), of(3, 0.0), of(4, 0.7)]
    own = [arrays(run.id, range(30)) for run in runs]
    found = compare(runs, own, [score(run.id, [run.id % 2] * 30) for run in runs])
    assert [sentence.count("(2 seeds)") for sentence in found.seeds] == [1, 0]
    assert "steper as in run-2 (2 seeds)" in found.seeds[0] and "steper as in run-4 (1 seed)" in found.seeds[1]
    assert found.warnings == ("run-4 and run-1 differ in more than the model: temperature (0.0 and 0.7)",)


def test_students_that_were_trained_otherwise_are_no_seeds_of_one_system(make_run: MakeRun) -> None:
    """Two machines gave two systems' runs one name, too."""

    def of(number: int, weighting: str, **changes: Any) -> RunRow:
        return make_run(number, seed=number, training={"train": {"weighting": weighting}}, **changes)

    runs = [of(1, "uniform", method="vanilla-kd"), *(of(n, "uniform", name="eval") for n in (2, 3))]
    runs += [of(n, "learned", name="eval") for n in (4, 5)]
    own = [arrays(run.id, range(30)) for run in runs]
    found = compare(runs, own, [score(run.id, [1] * run.id + [0] * (30 - run.id)) for run in runs])
    uniform, learned = found.seeds
    assert "steper as in eval (00000002) (2 seeds)" in uniform
    assert "steper as in eval (00000004) (2 seeds)" in learned


def test_only_comparisons_that_were_made_are_counted(make_run: MakeRun) -> None:
    runs = [make_run(1), make_run(2), make_run(3)]
    own = [arrays(run.id, range(20)) for run in runs]
    found = compare(runs, own, [score(1, [0] * 20), score(2, [1] * 9 + [0] * 11), score(3, [0] * 20, version="2")])
    assert len(found.verdicts) == 1 and "Holm" not in found.verdicts[0]


def test_versions_are_ordered_part_by_part(make_run: MakeRun) -> None:
    ordered = ["1", "1.1", "1.9", "1.10", "2", "2-rc", "10", "1" + "0" * 5000]
    scores = [score(1, [0], version=version) for version in reversed(ordered)]
    assert [each.version for each in sorted(scores, key=version_order)] == ordered


def test_runs_without_a_shared_question_say_so(make_run: MakeRun) -> None:
    found = compare(
        [make_run(1), make_run(2)],
        [arrays(1, [1]), arrays(2, [2])],
        [score(1, [1]), score(2, [1])],
        names=[("em", "")],
    )
    assert found.shared == 0
    assert "nothing can be said" in found.verdicts[0]
    assert found.kinds.lines == found.hops.lines == ()


def test_two_judges_of_one_rubric_are_two_scores(make_run: MakeRun) -> None:
    judged = [
        score(run, [value], "steps_rating", evaluator=f"judge:{judge}")
        for run in (1, 2)
        for judge, value in (("a", 1), ("b", 0))
    ]
    names = [("steps_rating@judge:a", ""), ("steps_rating@judge:b", "")]
    found = compare([make_run(1), make_run(2)], [arrays(1, [1]), arrays(2, [1])], judged, names=names)
    assert [line.label for line in found.matrix.lines] == [label_of(name) for name in names]
    assert score_names(judged) == names
