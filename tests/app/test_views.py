"""What the views make of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from app.formats import duration
from app.seeds import seed_groups
from app.state import RunsState, run_tokens
from app.training_charts import TrainedRun, normalised_sigmas, thinned, training_figure
from app.versions import newest_value
from app.views.chain import chain_data, reached_at
from app.views.run_choice import tokens_of
from app.views.run_details import details
from app.views.run_order import next_sort, ordered
from app.views.run_table import listed, mixed_versions, table_data
from app.views.widgets import names_apart
from db.queries import FigureRow, QuestionView, RunRow, ScoreView, StudyRow, TrainPointRow
from evaluators.intervals import Spread
from steper_core.run_records import Figure

MakeRun = Callable[..., RunRow]
MakeQuestion = Callable[..., QuestionView]


def em(mean: float | None) -> dict[str, FigureRow]:
    return {"em": FigureRow(mean, None, None, 10, 0)}


def table(*runs: RunRow, **state: Any) -> list[dict[str, Any]]:
    data = table_data(run_tokens(runs), listed(runs, state.get("sort", "")), seed_groups(runs), RunsState(**state))
    return [row for section in data["sections"] for row in section["rows"]]


def test_evaluations_come_first_and_methods_in_the_order_of_comparison(make_run: MakeRun) -> None:
    rows = [
        make_run(1, kind="train"),
        make_run(2, method="steper"),
        make_run(3, method="base"),
        make_run(4, method="vanilla-kd"),
        make_run(5, kind="collect"),
    ]
    assert [run.id for run in listed(rows, "")] == [3, 4, 2, 1, 5]


def test_judge_runs_are_listed_by_what_they_asked_and_how_much(make_run: MakeRun) -> None:
    run = make_run(
        1,
        kind="judge",
        config={"rubric": {"name": "abilities", "version": "1"}},
        counts={"chains": 5, "votes": 14},
        facts={"prompt_tokens": 1400.0},
        seconds=12.0,
    )
    bare = make_run(2, kind="judge", config={"rubric": "odd"}, counts={}, facts={})
    data = table_data(run_tokens([run, bare]), [run, bare], {}, RunsState())
    (section,) = data["sections"]
    assert section["title"] == "Judging"
    assert [column["label"] for column in section["columns"]][1:] == [
        "Rubric",
        "Data",
        "Took",
        "Chains",
        "Votes",
        "Prompt tokens",
    ]
    first, second = section["rows"]
    assert [cell["main"] for cell in first["cells"]][2:] == [duration(12.0), "5", "14", "1 400"]
    assert first["cells"][0]["main"] == "abilities" and second["cells"][0]["main"] == ""


def test_sorting_puts_missing_values_last_in_both_directions(make_run: MakeRun) -> None:
    rows = [make_run(1, figures=em(0.2)), make_run(2, figures={}), make_run(3, figures=em(0.4))]
    assert [run.id for run in ordered(rows, "em")] == [1, 3, 2]
    assert [run.id for run in ordered(rows, "-em")] == [3, 1, 2]
    assert [run.id for run in ordered(rows, "no such column")] == [3, 2, 1]


def test_variants_of_one_method_keep_to_their_own_seeds(make_run: MakeRun) -> None:
    def of(number: int, variant: str, seed: int) -> RunRow:
        return make_run(number, seed=seed, study=StudyRow("s", "S", "methods", variant, 0, ""))

    rows = [of(1, "uniform", 0), of(2, "learned", 1), of(3, "uniform", 1), of(4, "learned", 0)]
    assert [run.id for run in ordered(rows, "")] == [4, 2, 1, 3]


def test_a_heading_sorts_numbers_falling_and_names_rising_first() -> None:
    assert [next_sort("", "em"), next_sort("-em", "em"), next_sort("em", "em")] == ["-em", "em", ""]
    assert [next_sort("", "name"), next_sort("name", "name"), next_sort("-name", "name")] == ["name", "-name", ""]


def test_seeds_of_one_system_get_a_line_with_mean_and_spread(make_run: MakeRun) -> None:
    runs = [make_run(n, seed=n, figures=em(share)) for n, share in ((1, 0.2), (2, 0.3), (3, 0.4))]
    rows = table(*runs, make_run(4, method="base", seed=9))
    assert [row["name"] for row in rows] == ["run-4", "run-1", "run-2", "run-3", "mean ± sd of 3 runs"]
    assert {"main": "30.0", "side": "± 10.0"} in rows[-1]["cells"]
    assert rows[-1]["sub"] == "seeds 1, 2, 3"
    assert rows[-1]["token"] is None


def test_a_page_that_ends_among_the_seeds_of_a_system_has_the_mean_of_all(make_run: MakeRun) -> None:
    runs = [make_run(n, seed=n, figures=em(share)) for n, share in ((1, 0.2), (2, 0.3), (3, 0.4))]
    data = table_data(run_tokens(runs), runs[:2], seed_groups(runs), RunsState())
    assert [row["name"] for row in data["sections"][0]["rows"]] == ["run-1", "run-2", "mean ± sd of 3 runs"]


def test_failed_runs_and_equal_seeds_are_no_seeds(make_run: MakeRun) -> None:
    assert seed_groups([make_run(1, seed=1), make_run(2, seed=1)]) == {}
    assert seed_groups([make_run(1, seed=1), make_run(2, seed=2, status="failed")]) == {}


def test_checkpoints_of_a_training_run_are_no_seeds_beside_another_seed(make_run: MakeRun) -> None:
    checkpoints = [make_run(step, seed=0, checkpoint_step=step) for step in range(1, 6)]
    assert seed_groups([*checkpoints, make_run(6, seed=1)]) == {}


def test_other_settings_are_another_system_and_other_weights_are_not(make_run: MakeRun) -> None:
    def of(number: int, seed: int, top_k: int, demonstrations: int = 0) -> RunRow:
        model = {"model": f"runs/train-s{seed}/checkpoints/{number}", "demonstrations": demonstrations}
        config = {"seed": seed, "retrieval": {"top_k": top_k}, "model": model, "checkpoint": {"step": number}}
        return make_run(number, seed=seed, config=config, figures=em(0.1 * number))

    rows = table(of(1, 0, 4), of(2, 1, 4), of(3, 2, 8), of(4, 3, 8))
    assert {row["sub"] for row in rows if row["token"] is None} == {"seeds 0, 1", "seeds 2, 3"}
    # How files are called and how many questions go side by side are none of it.
    spelt = [
        make_run(
            5 + n, seed=n, config={"questions": "q", "corpus": "c", "data": {"paths": [path]}, "reasoning": window}
        )
        for n, (path, window) in enumerate([("data", {"window": 4}), ("./data", {"window": 8})])
    ]
    assert len(seed_groups(spelt)) == 1
    # The same prompt is part of a system too.
    assert seed_groups([of(1, 0, 4), of(2, 1, 4, demonstrations=2)]) == {}


def test_students_that_were_trained_otherwise_are_no_seeds_of_each_other(make_run: MakeRun) -> None:
    def of(number: int, seed: int, weighting: str, teacher: str = "gold", tokens: int = 1) -> RunRow:
        train = {"weighting": weighting, "forward_tokens": tokens, "packing": tokens == 1}
        # Each machine asked the teacher anew.
        training = {"train": train, "teacher_run": str(number), "teacher": {"teacher": {"model": teacher}}}
        return make_run(number, seed=seed, training=training)

    assert seed_groups([of(1, 0, "uniform"), of(2, 1, "learned")]) == {}
    assert seed_groups([of(1, 0, "uniform"), of(2, 1, "uniform", teacher="llama")]) == {}
    groups = seed_groups([of(1, 0, "uniform", tokens=9), of(2, 1, "uniform"), of(3, 0, "learned"), of(4, 1, "learned")])
    assert [group.seeds for group in groups.values()] == [(0, 1), (0, 1)]


def test_no_mean_is_of_two_versions_of_a_score(make_run: MakeRun) -> None:
    def of(number: int, version: str) -> RunRow:
        figure = FigureRow(0.5, 0.4, 0.6, 9, 0, "answers", version)
        return make_run(number, seed=number, figures={"em": figure})

    (mixed,) = seed_groups([of(1, "1"), of(2, "2")]).values()
    (alike,) = seed_groups([of(1, "2"), of(2, "2")]).values()
    assert mixed.figure("em") is None
    assert alike.figure("em") == Spread(0.5, 0.0, 2)


def test_a_mean_of_fewer_runs_than_its_line_says_of_how_many(make_run: MakeRun) -> None:
    runs = [make_run(n, seed=n, figures=em(0.5) if n < 3 else {}) for n in (1, 2, 3)]
    assert {"main": "50.0", "side": "± 0.0 (2 runs)"} in table(*runs)[-1]["cells"]


def test_a_field_s_old_texts_mean_the_runs_they_meant(make_run: MakeRun) -> None:
    known = run_tokens([make_run(1, name="x"), make_run(2, name="y"), make_run(3, name="y")])
    (x, y, other) = known
    stale = ["B x", f"y {y} (evaluation, steper, worlds)", f"C y {other}", x, "a run that is gone"]
    assert tokens_of(stale, known) == (x, y, other, "a run that is gone")


def test_no_two_options_look_alike() -> None:
    long = "a" * 80
    names = names_apart({"one": f"{long}1", "two": f"{long}2", "three": "short"}, 20)
    assert names == {"one": "a" * 19 + "…", "two": "a" * 19 + "… (2)", "three": "short"}


def test_a_failed_run_says_why_and_how_to_resume(make_run: MakeRun) -> None:
    (row,) = table(make_run(1, status="failed", error="RuntimeError: no memory", command="steper train --name x"))
    assert row["problem"] == {"why": "RuntimeError: no memory", "command": "steper train --name x"}
    assert row["status"]["word"] == "failed"


def test_every_cell_has_its_column(make_run: MakeRun) -> None:
    runs = [
        make_run(n, kind=kind, seed=n) for n, kind in enumerate(("evaluate", "evaluate", "train", "collect", "new"), 1)
    ]
    data = table_data(run_tokens(runs), listed(runs, ""), {}, RunsState())
    for section in data["sections"]:
        assert {len(row["cells"]) for row in section["rows"]} == {len(section["columns"]) - 1}


def test_only_the_opened_run_has_details(make_run: MakeRun) -> None:
    first, second = table(make_run(1), make_run(2), opened="00000001")
    assert first["details"] is None
    assert second["details"]


def test_details_tell_everything_with_units(make_run: MakeRun) -> None:
    run = make_run(
        1,
        counts={"kept": 10, "rejected: wrong answer": 2},
        facts={"disk_bytes": 5e8},
        config={"retrieval": {"passages": 4}, "note": "<b>"},
        checkpoint_run_name="train-1",
        checkpoint_step=1200,
    )
    sheets = {
        sheet["title"]: {row["label"]: (row["value"], row["side"]) for row in sheet["rows"]} for sheet in details(run)
    }
    assert sheets["Scores, 95 % interval"]["EM"] == ("61.0", "[56.7, 65.2] n = 500")
    assert sheets["Counts"]["Rejected: wrong answer"] == ("2", "")
    assert sheets["Measured"]["Disk"] == ("500 MB", "")
    assert sheets["Config"]["retrieval.passages"] == ("4", "")
    assert sheets["Config"]["note"] == ("<b>", "")
    assert sheets["Run"]["Weights from"] == ("train-1", "step 1\u2009200")


def test_details_tell_counts_and_ratings_as_numbers(make_run: MakeRun) -> None:
    figures = {
        "gold_recall": FigureRow(0.5, 0.25, 0.75, 4, 0),
        "extra_steps": FigureRow(-0.35, -0.5, 0.0, 4, 1),
        "new_passages": FigureRow(2.0, None, None, 4, 0),
        "steps_rating@judge:m": FigureRow(0.4, 0.2, 0.6, 4, 0),
    }
    (scores,) = (
        sheet["rows"] for sheet in details(make_run(1, figures=figures)) if sheet["title"].startswith("Scores")
    )
    assert [(row["value"], row["side"]) for row in scores] == [
        ("50.0", "[25.0, 75.0] n = 4"),
        ("-0.35", "[-0.50, 0] n = 4, 1 unscored"),
        ("2", "n = 4"),
        ("0.40", "[0.20, 0.60] n = 4"),
    ]


def test_the_first_wrong_step_is_flagged(make_run: MakeRun, make_question: MakeQuestion) -> None:
    view = make_question(1, 2, sub_answers=(0.0, 0.0))
    steps = chain_data(view, [make_run(1), make_run(2)], gold=True)["chains"][0]["steps"]
    assert [step["flag"] for step in steps] == [True, False]
    assert [step["ability"]["short"] for step in steps] == ["init", "agg"]


def test_hops_tell_which_step_found_their_passage(make_run: MakeRun, make_question: MakeQuestion) -> None:
    view = make_question(1)
    assert view.chains[0] is not None
    assert [reached_at(hop, view.chains[0]) for hop in view.hops] == [1, None]
    first, second = chain_data(view, [make_run(1)], gold=True)["hops"]
    assert first["reached"][0]["text"] == "★ found, step 1"
    assert second["reached"][0]["text"] == "✗ not found"
    assert second["after"] == "needs 1"


@pytest.mark.parametrize(("em_value", "glyph"), [(1.0, "✓"), (0.0, "✗"), (None, "–")])
def test_an_answer_is_right_wrong_or_unscored(
    make_run: MakeRun, make_question: MakeQuestion, em_value: float | None, glyph: str
) -> None:
    (chain,) = chain_data(make_question(1, em=em_value), [make_run(1)], gold=True)["chains"]
    assert chain["outcome"]["glyph"] == glyph
    assert [(score["glyph"], score["value"]) for score in chain["scores"]] == [(glyph, ""), ("", "50.0")]
    assert chain["stop"] == {"word": "answered", "hint": "a line gave the answer"}
    assert chain["cost"] == "2\u2009400 + 18 tokens · 1.00 s"


def test_an_answer_is_told_by_the_newest_version_of_its_score(make_run: MakeRun, make_question: MakeQuestion) -> None:
    view = make_question(1)
    (chain,) = view.chains
    assert chain is not None
    # As the database orders them: by text.
    versions = (("1", 0.0), ("10", 1.0), ("9", 0.0))
    scores = tuple(ScoreView("em", value, None, "answers", version) for version, value in versions)
    view = dataclasses.replace(view, chains=(dataclasses.replace(chain, scores=scores),))
    assert chain_data(view, [make_run(1)], gold=True)["chains"][0]["outcome"]["glyph"] == "✓"
    assert newest_value(scores, "f1") is None


def test_a_run_without_a_chain_leaves_its_column_empty(make_run: MakeRun, make_question: MakeQuestion) -> None:
    view = dataclasses.replace(make_question(1), chains=(None, make_question(1).chains[0]))
    data = chain_data(view, [make_run(1), make_run(2)], gold=True)
    assert data["chains"][0] is None
    assert data["hops"][0]["reached"][0]["text"] == "–"


def test_sigmas_are_shares_of_their_sum() -> None:
    point = TrainPointRow(1, 0.1, {}, {"initialization": 1.0, "expansion": 3.0}, None, None, False)
    assert normalised_sigmas(point) == {"initialization": 0.25, "expansion": 0.75}
    assert normalised_sigmas(dataclasses.replace(point, sigmas={})) == {}


def test_long_runs_are_thinned_but_keep_their_end() -> None:
    points = [TrainPointRow(n, 0.0, {}, {}, None, None, False) for n in range(1, 10_001)]
    kept = thinned(points, 100)
    assert len(kept) <= 101
    assert kept[-1].step == 10_000


def test_charts_share_an_axis_mark_held_out_points_and_hold_no_names() -> None:
    loss = {"initialization": 2.0, "expansion": 3.0, "aggregation": 1.0}
    points = [
        TrainPointRow(2, 0.1, loss, loss, 1e-4, 400.0, False),
        TrainPointRow(2, 0.1, loss, {}, None, None, True),
    ]
    half = Figure(mean=0.5, low=0.25, high=1.0, n=4, unscored=0)
    evaluated = TrainedRun(points, [2], {"EM": {"": [half]}, "Sub-answer": {"expansion": [half]}})
    figure = training_figure([evaluated, TrainedRun(points[:1])], "#000000", "#cccccc")
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == [
        "Loss, nats per target token",
        "Normalised sigma",
        "Learning rate",
        "EM, %",
        "Sub-answer, %",
        "Tokens per second",
    ]
    assert {trace.mode for trace in figure.data} == {"lines", "lines+markers", "markers"}
    # Abilities are told apart without their colours.
    of_abilities = [trace for trace in figure.data if trace.mode == "lines+markers" and trace.yaxis != "y4"]
    assert len({trace.marker.symbol for trace in of_abilities}) == len({trace.name for trace in of_abilities}) == 3
    held_out = [trace for trace in figure.data if trace.mode == "markers"]
    assert [trace.y for trace in held_out] == [(2.0,), (3.0,), (1.0,)]
    assert {figure.layout[f"xaxis{n}"].matches for n in ("", "2", "3", "4", "5")} == {"x6"}
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        *("init", "exp", "agg"),
        *("init, held out", "exp, held out", "agg, held out"),
        "whole chain",
    ]


def test_runs_without_sigma_get_no_empty_chart() -> None:
    bare = TrainedRun([TrainPointRow(2, 0.1, {"aggregation": 1.0}, {}, None, None, False)])
    figure = training_figure([bare], "#000", "#ccc")
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == ["Loss, nats per target token"]


def test_figures_of_two_versions_are_told(make_run: MakeRun) -> None:
    def run(number: int, evaluator: str, version: str) -> RunRow:
        return make_run(number, figures={"em": FigureRow(0.5, None, None, 2, 0, evaluator, version)})

    assert mixed_versions([run(1, "answers", "1"), run(2, "answers", "1"), run(3, "steps", "2")]) == ()
    assert mixed_versions([run(1, "answers", "1"), run(2, "answers", "2"), run(3, "steps", "2")]) == ("answers",)
    assert mixed_versions([make_run(1), make_run(2)]) == ()
