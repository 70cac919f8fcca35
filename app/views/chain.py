"""One question with its chain under each chosen run, step beside step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.formats import duration, number
from app.plain import one_line, plain
from app.tokens import (
    ABILITIES,
    ABILITY_COLOURS,
    ABILITY_INKS,
    GOLD,
    RIGHT,
    STEP_SCORES,
    STOP_HINTS,
    STOP_REASONS,
    UNSCORED,
    WRONG,
    chosen_run,
    score_glyph,
)
from app.versions import newest_value
from app.views.aligned import Layout, Place, lay_out
from app.views.component import Component
from app.views.grounded import segments
from app.views.judged import judged
from app.views.labelled import ChainLabels, labelled
from app.views.scores import score_lists
from db.queries import ChainView, HopView, PassageView, QuestionView, RunRow, StepView
from evaluators.path import first_wrong_step

_CHAIN = Component("chain")
_NO_LABELS = ChainLabels({}, {})
_TITLE = 160
_TONES = {RIGHT: "good", WRONG: "bad", UNSCORED: "grey"}


def show_chains(
    view: QuestionView,
    runs: Sequence[RunRow],
    *,
    gold: bool,
    labels: ChainLabels = _NO_LABELS,
    step: int | None = None,
) -> None:
    """Draw a question and its chains; without `gold`, nothing of the gold answer and evidence. `step` is pointed at."""
    _CHAIN.draw(chain_data(view, runs, gold=gold, labels=labels, step=step), key="chain")


def chain_data(
    view: QuestionView,
    runs: Sequence[RunRow],
    *,
    gold: bool,
    labels: ChainLabels = _NO_LABELS,
    step: int | None = None,
) -> dict[str, Any]:
    """What the component draws."""
    return {
        "id": view.id,
        "step": step,
        "gold": gold,
        "question": {
            "text": plain(view.text),
            "answer": plain(view.answer) if gold else "",
            "aliases": plain(", ".join(view.aliases)) if gold else "",
            "facts": [plain(fact) for fact in (_hops(len(view.hops)), view.kind, view.dataset) if fact],
            "key": one_line(view.key, 80),
        },
        "runs": [chosen_run(position, one_line(run.name)) for position, run in enumerate(runs)],
        "hops": [_hop(position, hop, view.chains) for position, hop in enumerate(view.hops)] if gold else [],
        "chains": [
            None if chain is None else _chain(chain, layout, view.text, labels, gold=gold)
            for chain, layout in zip(view.chains, lay_out(view), strict=True)
        ],
    }


def reached_at(hop: HopView, chain: ChainView) -> int | None:
    """Number of the step that retrieved a hop's passage, None if no step did."""
    return next((step.number for step in chain.steps if any(p.id == hop.passage_id for p in step.passages)), None)


def _hops(count: int) -> str:
    return f"{count} hop{'' if count == 1 else 's'}" if count else ""


def _hop(position: int, hop: HopView, chains: Sequence[ChainView | None]) -> dict[str, Any]:
    after = ", ".join(str(each + 1) for each in hop.depends_on)
    return {
        "number": position + 1,
        "question": plain(hop.question),
        "answer": plain(hop.answer or ""),
        "title": one_line(hop.passage_title or "", _TITLE),
        "after": f"needs {after}" if after else "",
        "reached": [_reached(index, hop, chain) for index, chain in enumerate(chains)] if hop.passage_id else [],
    }


def _reached(position: int, hop: HopView, chain: ChainView | None) -> dict[str, Any]:
    step = reached_at(hop, chain) if chain else None
    run = chosen_run(position, "")
    if chain is None:
        return {**run, "text": UNSCORED, "tone": "grey", "hint": "no chain"}
    if step is None:
        return {**run, "text": f"{WRONG} not found", "tone": "bad", "hint": "no step retrieved this passage"}
    hint = f"step {step} retrieved this passage; whether a line states the answer, its scores say"
    return {**run, "text": f"{GOLD} found, step {step}", "tone": "good", "hint": hint}


def _chain(chain: ChainView, layout: Layout, question: str, labels: ChainLabels, *, gold: bool) -> dict[str, Any]:
    said = labels.by_run.get(chain.run_id, ())
    flagged = first_wrong_step({step.number: newest_value(step.scores, "sub_answer") for step in chain.steps})
    em = newest_value(chain.scores, "em")
    glyph = score_glyph(em) or UNSCORED
    words = {RIGHT: "right", WRONG: "wrong", UNSCORED: "not scored"}
    read = sum(step.prompt_tokens for step in chain.steps)
    written = sum(step.output_tokens for step in chain.steps)
    cost = f"{_tokens(read, written)} · {duration(sum(step.seconds for step in chain.steps))}"
    stop = STOP_REASONS.get(chain.stop_reason, plain(chain.stop_reason))
    return {
        "answer": None if chain.answer is None else plain(chain.answer),
        "outcome": {"glyph": glyph, "word": words[glyph], "tone": _TONES[glyph]},
        "stop": {"word": stop, "hint": STOP_HINTS.get(chain.stop_reason, "")},
        "cost": cost,
        **score_lists(chain.scores),
        "judged": judged(chain.judgements, 0),
        "labelled": labelled(said, labels.rubrics, 0),
        "gaps": list(layout.gaps),
        "steps": [
            _step(step, step.number == flagged, gold=gold)
            | _place(layout.places[step.number])
            | asked_with(step, chain, question)
            | {
                "segments": segments(plain(step.rationale), read_by(chain, step.number), question),
                "judged": judged(chain.judgements, step.number),
                "labelled": labelled(said, labels.rubrics, step.number),
            }
            for step in chain.steps
        ],
    }


def asked_with(step: StepView, chain: ChainView, question: str) -> dict[str, str]:
    """Why the step searched with what it did, and the query itself where that does not tell it already."""
    before = next((each.rationale for each in chain.steps if each.number == step.number - 1), None)
    if step.query.strip() == question.strip():
        return {"asked": "searched with the question", "query": ""}
    if before is not None and step.query.strip() == before.strip():
        return {"asked": "searched with the line before", "query": ""}
    return {"asked": "searched with" if step.query.strip() else "", "query": plain(step.query)}


def read_by(chain: ChainView, number: int) -> list[PassageView]:
    """The passages retrieved up to a step."""
    return [passage for step in chain.steps if step.number <= number for passage in step.passages]


def _place(place: Place) -> dict[str, Any]:
    return {"row": place.row, "mark": place.mark, "parted": place.parted}


def _step(step: StepView, flagged: bool, *, gold: bool) -> dict[str, Any]:
    return {
        "number": step.number,
        "ability": {
            "name": step.ability,
            "short": ABILITIES.get(step.ability, one_line(step.ability, 12)),
            "colour": ABILITY_COLOURS.get(step.ability, "#7F7F7F"),
            "ink": ABILITY_INKS.get(step.ability, "#000000"),
        },
        "passages": [_passage(passage, gold=gold) for passage in step.passages],
        "rationale": plain(step.rationale),
        **score_lists(step.scores, STEP_SCORES, of_step=True),
        "cost": f"{_tokens(step.prompt_tokens, step.output_tokens)} · {duration(step.seconds)}",
        "flag": flagged,
    }


def _tokens(read: int, written: int) -> str:
    return f"{number(read)} + {number(written)} tokens"


def _passage(passage: PassageView, *, gold: bool) -> dict[str, Any]:
    # A title too long for its line comes again, whole, with the text.
    text = passage.text if len(passage.title) <= _TITLE else f"{passage.title}\n\n{passage.text}"
    return {
        "id": passage.id,
        "title": one_line(passage.title, _TITLE) or "(no title)",
        "text": plain(text),
        "score": f"{passage.score:.2f}",
        "gold": passage.gold and gold,
    }
