"""What the compare page makes of rows: who is compared first, costs, Pareto sets, curves, words."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from app.pareto_chart import CostPoint, pareto_figure
from app.state import CompareState, RunsState, run_tokens
from app.training_charts import TrainedRun, checkpoint_figure
from app.views.checkpoints import checkpoints_of
from app.views.compare_choice import newest_group
from app.views.compare_costs import cost_remarks, cost_rows, pareto_plots
from app.views.compare_training import TrainingSet, set_rows, trained_most
from app.views.compare_words import explained, score_label, step_scores, whole_scores
from app.views.run_table import table_data
from db.queries import RunRow, TrainPointRow
from steper_core.run_records import Figure

MakeRun = Callable[..., RunRow]


def test_the_newest_group_shares_data_model_and_size_and_begins_with_vanilla(make_run: MakeRun) -> None:
    runs = [
        make_run(1, method="base"),
        make_run(2, method="vanilla-kd"),
        make_run(3, method="steper"),
        make_run(4, method="steper", seed=1),
        make_run(5, method="base", chain_count=2),
        make_run(6, method="steper", dataset="musique"),
        make_run(7, method="base", status="failed"),
        make_run(8, method="gold", model="gold"),
    ]
    known = run_tokens(runs)
    assert newest_group(known) == ("00000002", "00000004", "00000001")
    assert newest_group({token: run for token, run in known.items() if run.id in (1, 5, 6, 7, 8)}) == ()


def test_ticked_evaluations_lead_to_compare_and_the_first_three_to_chains(make_run: MakeRun) -> None:
    known = run_tokens([make_run(n, kind="collect" if n == 5 else "evaluate") for n in range(1, 6)])
    tokens = tuple(known)
    compare, chains = table_data(known, list(known.values()), {}, RunsState(ticked=tokens))["doors"]
    assert compare["href"] == "compare?" + "&".join(f"run={token}" for token in tokens[:4])
    assert chains["href"] == "chains?" + "&".join(f"run={token}" for token in tokens[:3])
    assert chains["label"] == "Compare chains of A, B, C →"
    (only,) = table_data(known, list(known.values()), {}, RunsState(ticked=(tokens[0], tokens[4])))["doors"]
    assert only["href"].startswith("chains?") and only["label"] == "Compare chains →"


COSTS = {"parameters_total": 4e9, "seconds_per_question": 8.0, "joules_per_question": 40.0, "batch_size": 4.0}


def costed(make_run: MakeRun) -> dict[str, RunRow]:
    cheap = {"parameters_total": 1e9, "seconds_per_question": 2.0, "batch_size": 8.0}
    return run_tokens(
        [
            make_run(1, facts=COSTS | {"energy_estimated": 1.0}),
            make_run(2, facts=cheap | {"joules_per_question": 0.0}),
            make_run(3, facts={"parameters": 8e9}),
        ]
    )


def test_costs_are_ratios_to_the_reference_and_estimates_are_marked(make_run: MakeRun) -> None:
    rows = {row["label"]: row["cells"] for row in cost_rows(costed(make_run), "em", [0.5, 0.25, None])}

    def said(label: str) -> list[tuple[str, str]]:
        return [(cell["main"], (cell["difference"] or {}).get("text", "")) for cell in rows[label]]

    assert said("Parameters") == [("4.0 G", ""), ("1.0 G", "4× less"), ("8.0 G", "2× more")]
    assert said("Seconds, mean") == [("8.00 s", ""), ("2.00 s", "4× less"), ("–", "")]
    assert said("EM points per billion parameters") == [("12.5", ""), ("25", "2×"), ("–", "")]
    assert said("EM points per second") == [("6.25", ""), ("12.5", "2×"), ("–", "")]
    assert said("EM points per joule") == [("1.25", ""), ("–", ""), ("–", "")]
    assert [cell["side"] for cell in rows["Energy"]] == ["estimate", "", ""]
    assert [cell["main"] for cell in rows["At once"]] == ["batch 4", "batch 8", "–"]
    assert cost_remarks(costed(make_run)) == [
        "B beside A: seconds at batch size 8 against batch size 4",
        "C beside A: seconds at an unknown load against batch size 4",
        "Energy of A is an estimate, not a reading of the hardware.",
    ]


def test_numbers_of_a_thousand_are_written_out(make_run: MakeRun) -> None:
    facts = [COSTS | {"joules_per_question": joules} for joules in (999.7, 999.4)]
    runs = run_tokens([make_run(place, facts=own) for place, own in enumerate(facts, start=1)])
    rows = {row["label"]: row["cells"] for row in cost_rows(runs, "em", [None, None])}
    assert [cell["main"] for cell in rows["Energy"]] == ["1\u2009000 J", "999 J"]


def test_costs_of_different_machines_are_told(make_run: MakeRun) -> None:
    laptop, server = {"processor": "P", "cores": 2}, {"processor": "P", "gpus": ["G"]}
    # What an earlier version did not write down differs in nothing.
    machines = (laptop | {"gpus": []}, {**laptop, "memory_gib": 23.5}, server)
    runs = run_tokens([make_run(place, facts=COSTS, hardware=own) for place, own in enumerate(machines, start=1)])
    assert cost_remarks(runs) == ["C beside A: seconds and joules of different hardware"]


def test_pareto_points_are_those_that_no_run_beats_and_the_rest_is_named(make_run: MakeRun) -> None:
    figures = [Figure(mean=mean, low=None, high=None, n=4, unscored=0) for mean in (0.5, 0.25, 0.2)]
    seconds, parameters = pareto_plots(costed(make_run), figures)
    assert [(point.letter, point.best) for point in parameters.points] == [("A", True), ("B", True), ("C", False)]
    assert seconds.left_out == "Left out for want of seconds: C."
    chart = pareto_figure(parameters.points, "parameters", "EM, %", "#000000", "#cccccc")
    assert list(chart.data[0].x) == [1e9, 4e9]
    assert [trace.marker.symbol for trace in chart.data[2:]] == ["circle", "circle", "square"]
    assert chart.layout.xaxis.type is None
    far = [CostPoint("A", 1.0, 0.5, 0.4, 0.7, True), CostPoint("B", 30.0, 0.6, None, None, True)]
    wide = pareto_figure(far, "seconds", "EM, %", "#000000", "#cccccc")
    assert wide.layout.xaxis.type == "log"
    assert [round(bar, 6) for bar in wide.data[1].error_y.array] == [20.0, 0.0]


def test_curves_without_any_figure_get_no_panel() -> None:
    none = Figure(mean=None, low=None, high=None, n=0, unscored=3)
    half = Figure(mean=0.5, low=0.25, high=1.0, n=4, unscored=0)
    points = [TrainPointRow(1, 0.1, {"aggregation": 2.0}, {}, None, None, held) for held in (False, True)]
    run = TrainedRun(points, [1, 2], {"EM": {"": [half, None]}, "Steps": {"expansion": [none, none]}})
    figure = checkpoint_figure(run, "#000", "#ccc")
    assert figure is not None
    assert checkpoint_figure(TrainedRun([], [1], {"EM": {"": [None]}}), "#000", "#ccc") is None
    assert [note.text for note in figure.layout.annotations] == ["EM, %", "Loss, nats per target token"]
    em, loss, held_out = figure.data
    assert (held_out.name, held_out.mode) == ("agg, held out", "markers")
    assert (em.x, em.y, em.error_y.array, em.error_y.arrayminus) == ((1,), (50.0,), (50.0,), (25.0,))
    assert (loss.name, loss.y, loss.showlegend) == ("agg", (2.0,), True)


def test_checkpoints_stand_by_step_and_the_newest_of_a_step_counts(make_run: MakeRun) -> None:
    training = make_run(1, kind="train")
    at = {"checkpoint_run_uid": training.uid}
    runs = [
        make_run(2, **at, checkpoint_step=20),
        make_run(3, **at, checkpoint_step=10),
        make_run(4, **at, checkpoint_step=20),
        make_run(5, **at, checkpoint_step=30, framework="rag"),
        make_run(6, checkpoint_run_uid="other", checkpoint_step=5),
        make_run(7, **at, checkpoint_step=40),
    ]
    assert [run.id for run in checkpoints_of(training, runs)] == [3, 4, 7]
    assert trained_most(runs) == training.uid
    assert trained_most([runs[0], runs[2], runs[4]]) is None
    assert checkpoints_of(training, runs[4:5]) == []


def test_a_curve_leaves_out_what_was_asked_otherwise_or_is_not_finished(make_run: MakeRun) -> None:
    training = make_run(1, kind="train")
    at = {"checkpoint_run_uid": training.uid}
    asked = {"questions": "q", "retrieval": {"top_k": 4}, "reasoning": {"max_steps": 5}}
    runs = [
        make_run(2, **at, checkpoint_step=10, config=asked),
        make_run(3, **at, checkpoint_step=20, config=asked | {"model": {"model": "elsewhere"}}),
        make_run(4, **at, checkpoint_step=20, config=asked | {"retrieval": {"top_k": 2}}),
        make_run(5, **at, checkpoint_step=30, config=asked | {"questions": "r"}),
        make_run(6, **at, checkpoint_step=40, config=asked),
        make_run(7, **at, checkpoint_step=50, config=asked, status="interrupted"),
    ]
    assert [run.id for run in checkpoints_of(training, runs)] == [2, 3, 6]


def test_training_sets_tell_what_was_rejected_and_leave_out_what_is_not_known(make_run: MakeRun) -> None:
    training = make_run(1, kind="train", counts={"examples": 24, "cut": 0})
    teacher = make_run(2, kind="collect", counts={"kept": 4, "rejected: wrong answer": 2})
    rows = set_rows(
        [TrainingSet(training, teacher, None), TrainingSet(training, None, None), TrainingSet(None, None, None)]
    )
    said = {row["label"]: [cell["main"] for cell in row["cells"]] for row in rows}
    assert said == {
        "Trained by": ["run-1", "run-1", "–"],
        "Chains from": ["run-2", "–", "–"],
        "Kept": ["4", "–", "–"],
        "Rejected: wrong answer": ["2", "–", "–"],
        "Examples": ["24", "24", "–"],
        "Cut": ["0", "0", "–"],
    }


def test_scores_are_named_and_explained() -> None:
    assert score_label("gold_recall", "expansion") == "Gold recall, exp"
    assert score_label("abilities_expansion@judge:org/m\u202e") == "Abilities expansion (org/m[U+202E])"
    assert explained("right_by_wrong_path").endswith("; lower is better")
    assert explained("extra_steps").endswith("; a number, not percent")
    assert explained("nobody knows") == "a number, not percent"


def test_the_score_in_focus_is_always_listed() -> None:
    held = ["em", "acc_text", "sub_answer", "repetition"]
    assert whole_scores(held, everything=False, focus=("acc_text", "")) == (("em", ""), ("acc_text", ""))
    assert step_scores(held, everything=False, focus=("repetition", "expansion"))[3:] == (
        ("repetition", "initialization"), ("repetition", "expansion"), ("repetition", "aggregation"),
    )  # fmt: skip


def test_a_state_survives_its_url() -> None:
    state = CompareState(("a", "b"), "f1", "expansion", True, "t")
    assert CompareState.parse(state.params()) == state
    assert CompareState().params() == {}
    assert CompareState.parse({"run": list("abcdefghij"), "ability": ["none"]}).runs == tuple("abcdefgh")


NAMES = st.sampled_from(["run", "score", "ability", "scores", "train"])


@given(st.dictionaries(NAMES, st.lists(st.text(max_size=30), max_size=12)))
def test_any_url_is_a_state_whose_url_is_stable(params: dict[str, list[str]]) -> None:
    state = CompareState.parse(params)
    assert CompareState.parse(state.params()) == state
