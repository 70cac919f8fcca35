"""The words, colours and glyphs that are the same on every page."""

from __future__ import annotations

ABILITIES: dict[str, str] = {"initialization": "init", "expansion": "exp", "aggregation": "agg"}
"""Short name of each ability."""

ABILITY_COLOURS: dict[str, str] = {"initialization": "#0072B2", "expansion": "#E69F00", "aggregation": "#009E73"}
"""Colour of each ability."""

ABILITY_INKS: dict[str, str] = {"initialization": "#ffffff", "expansion": "#1d1400", "aggregation": "#00130d"}
"""Colour of text on an ability's colour (contrast of 4.5 or more)."""

TASKS: dict[str, str] = {**ABILITIES, "rationale": "rationale", "answer": "answer"}
"""Short name of each task that has a loss of its own: the abilities, and those of methods that know no steps."""

TASK_COLOURS: dict[str, str] = {**ABILITY_COLOURS, "rationale": "#CC79A7", "answer": "#8C8C8C"}
"""Colour of each task."""

TASK_SYMBOLS: dict[str, str] = {
    "initialization": "circle",
    "expansion": "square",
    "aggregation": "diamond",
    "rationale": "triangle-up",
    "answer": "triangle-down",
}
"""Mark of each task on its lines: a colour never stands alone."""

RUN_COLOURS: tuple[str, ...] = (
    "#56B4E9",
    "#D55E00",
    "#CC79A7",
    "#8C8C8C",
    "#C9B700",
    "#A9772B",
    "#A08CE0",
    "#45B5AA",
)
"""Colours of chosen runs, in the order they were picked: first what the abilities leave of Okabe and Ito's."""

RUN_LETTERS = "ABCDEFGH"
"""Letters of chosen runs: a colour never stands alone."""

MAX_COMPARED = 3
"""How many runs stand side by side, chain by chain."""

MAX_TRAINED = 4
"""How many training runs are drawn over each other: as many as there are kinds of dashes."""

RIGHT, WRONG, UNSCORED, GOLD, FLAG = "✓", "✗", "–", "★", "⚑"

KINDS: dict[str, str] = {"evaluate": "Evaluation", "train": "Training", "collect": "Collection", "judge": "Judging"}
"""Kinds of runs as the pages name them, in the order they are listed."""

STOP_REASONS: dict[str, str] = {
    "answered": "answered",
    "forced": "forced at the last step",
    "too_long": "prompt too long",
    "refused": "no usable line",
}
"""Why a chain ended, in words."""

STOP_HINTS: dict[str, str] = {
    "answered": "a line gave the answer",
    "forced": "no line gave the answer before the last allowed step, so the answer flag was written for it there",
    "too_long": "the next prompt did not fit into the model's context",
    "refused": "the model gave no line that could be used",
}

FIGURES: dict[str, str] = {
    "em": "EM",
    "f1": "F1",
    "acc": "Acc",
    "acc_bounded": "Acc, bounded",
    "acc_text": "Acc, whole text",
    "precision": "Answer precision",
    "recall": "Answer recall",
    "gold_recall": "Gold recall",
    "hops_reached": "Hops reached",
    "gold_passage": "Gold passage found",
    "sub_answer": "Sub-answers",
    "grounding": "Grounding",
    "answer_reachable": "Answer reachable",
    "steps_before_error": "Steps before error",
    "right_by_wrong_path": "Right by wrong path",
    "premature_answer": "Premature answer",
    "passage_precision": "Passage precision",
}
"""Names of the figures, in the order they are listed."""

STEP_SCORES: dict[str, str] = {
    "sub_answer": "Sub-answer",
    "gold_passage": "Gold passage",
    "gold_recall": "Gold recall so far",
    "answer_reachable": "Answer reachable so far",
}
"""Names of the scores of one step where they differ from the figure's."""

METHOD_ORDER: tuple[str, ...] = (
    "",
    "base",
    "answer-kd",
    "logit-kd",
    "feature-kd",
    "multitask-kd",
    "vanilla-kd",
    "steper",
)
"""The order in which methods are compared: from nothing learned to all that is learned."""


def figure_label(name: str) -> str:
    """The name of a figure or score as the pages show it; an unknown one is made readable."""
    return FIGURES.get(name) or name.replace("_", " ").strip().capitalize()


def score_glyph(value: float | None) -> str:
    """Tick, cross, dash, or nothing for a score in between."""
    if value is None:
        return UNSCORED
    return {1.0: RIGHT, 0.0: WRONG}.get(value, "")


def chosen_run(position: int, name: str) -> dict[str, str]:
    """Letter, colour and name of the run picked at a position, as the components take them."""
    return {"letter": RUN_LETTERS[position], "colour": RUN_COLOURS[position], "name": name}
