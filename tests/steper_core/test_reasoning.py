"""Chains: when they stop, what they search for, and that resuming or windows change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest

from steper_core.config import ModelSection, ReasoningSection, RetrievalSection
from steper_core.frameworks import CLOSED_BOOK, IRCOT, RAG, Framework
from steper_core.prompts import Demonstration, Prompt
from steper_core.reasoning import ReasoningSettings, reason, step_seed, windows_left
from steper_core.records import Ability, Chain, Passage, Question, StopReason
from steper_core.retrieval import Retriever
from steper_core.systems import open_system
from steper_core.writers import Completion, ModelWriter, ScriptedModel, StepRequest, StepWriter

INIT, EXP, AGG = Ability.INITIALIZATION, Ability.EXPANSION, Ability.AGGREGATION
WORDS = ("amber", "birch", "canal", "delta", "ember", "field")
PASSAGES = [Passage.of(word, f"{word} and grove {number}") for number, word in enumerate(WORDS)]
RETRIEVER = Retriever.build(PASSAGES)


def question(number: int = 0, text: str = "amber grove?") -> Question:
    return Question(id=f"q{number}", dataset="d", text=text, answer="x")


def settings(top_k: int = 2, max_steps: int = 5, window: int = 8, seed: int = 0) -> ReasoningSettings:
    return ReasoningSettings(top_k, max_steps, window, seed)


def run(
    writer: StepWriter,
    *,
    questions: Sequence[Question] = (question(),),
    framework: Framework = IRCOT,
    done: Sequence[str] = (),
    how: ReasoningSettings | None = None,
) -> list[Chain]:
    how = how or settings()
    return list(
        reason(questions, framework=framework, writer=writer, retriever=RETRIEVER, settings=how, done=set(done))
    )


def steps_so_far(prompt: Prompt) -> int:
    return prompt.lines.count("\n")


def lines(*written: str) -> Callable[[Prompt], str]:
    """A script whose step s writes the s-th of these lines."""
    return lambda prompt: written[steps_so_far(prompt)]


@dataclass
class Recorder:
    """A writer that keeps its requests and answers by a function of the request."""

    answer: Callable[[StepRequest], Completion]
    batches: list[list[StepRequest]] = field(default_factory=list)

    def write(self, requests: Sequence[StepRequest]) -> list[Completion]:
        self.batches.append(list(requests))
        return [self.answer(request) for request in requests]


def test_the_flag_ends_a_chain_early() -> None:
    model = ScriptedModel(lines("birch is next.", "Thus. So the answer is: Tiv."))
    (chain,) = run(ModelWriter(model))
    assert chain.rationales == ("birch is next.", "So the answer is: Tiv")
    assert (chain.answer, chain.stop_reason) == ("Tiv", StopReason.ANSWERED)
    assert len(model.prompts) == 2


def test_a_question_that_is_a_worked_example_is_not_shown_its_own_answer() -> None:
    examples = tuple(Demonstration(f"{word} grove?", (), (f"So the answer is: {word} end",)) for word in WORDS[:2])
    model = ScriptedModel(lines("So the answer is: x"))
    run(ModelWriter(model, examples), questions=[question(0), question(1, "canal grove?")])
    assert ["amber end" in prompt.context for prompt in model.prompts] == [False, True]
    assert all("birch end" in prompt.context for prompt in model.prompts)


def test_the_last_step_is_forced_to_answer() -> None:
    model = ScriptedModel(lines("birch.", "canal.", " Tiv.\nmore"))
    (chain,) = run(ModelWriter(model), how=settings(max_steps=3))
    assert [prompt.lines.endswith("So the answer is:") for prompt in model.prompts] == [False, False, True]
    assert chain.rationales == ("birch.", "canal.", "So the answer is: Tiv")
    assert (chain.answer, chain.stop_reason) == ("Tiv", StopReason.FORCED)


def test_an_answer_that_is_forced_may_come_with_its_flag() -> None:
    model = ScriptedModel(lines("birch.", "canal.", "Vance is from Ohio. So the answer is: Ohio."))
    (chain,) = run(ModelWriter(model), how=settings(max_steps=3))
    assert (chain.rationales[-1], chain.answer) == ("So the answer is: Ohio", "Ohio")


@pytest.mark.parametrize(
    ("written", "abilities"),
    [
        (["So the answer is: x"], [AGG]),
        (["birch.", "So the answer is: x"], [INIT, AGG]),
        (["birch.", "canal.", "delta.", "So the answer is: x"], [INIT, EXP, EXP, AGG]),
    ],
)
def test_abilities_follow_from_the_place_in_the_chain(written: list[str], abilities: list[Ability]) -> None:
    (chain,) = run(ModelWriter(ScriptedModel(lines(*written))))
    assert [step.ability for step in chain.steps] == abilities
    assert [step.number for step in chain.steps] == list(range(1, len(written) + 1))


@pytest.mark.parametrize(("framework", "passages"), [(IRCOT, 2), (RAG, 2), (CLOSED_BOOK, 0)])
def test_a_single_step_is_one_forced_aggregation(framework: Framework, passages: int) -> None:
    model = ScriptedModel(lines("x"))
    (chain,) = run(ModelWriter(model), framework=framework, how=settings(max_steps=1 if framework is IRCOT else 5))
    assert [step.ability for step in chain.steps] == [AGG]
    assert (chain.rationales, chain.stop_reason) == (("So the answer is: x",), StopReason.FORCED)
    assert len(chain.passage_ids) == passages
    assert model.prompts[0].lines == "So the answer is:"


def test_queries_are_the_question_and_then_the_last_line_that_says_anything() -> None:
    model = ScriptedModel(lines("", "canal is next.", "", "So the answer is: x"))
    (chain,) = run(ModelWriter(model), how=settings(top_k=1))
    assert [step.query for step in chain.steps] == ["amber grove?", "amber grove?", "canal is next.", "canal is next."]


def test_passages_are_appended_without_repeats_and_shown_in_that_order() -> None:
    model = ScriptedModel(lines("amber grove.", "amber grove.", "amber grove.", "So the answer is: x"))
    (chain,) = run(ModelWriter(model), how=settings(top_k=2))
    # Amber matches best; the other five tie on "grove" and keep the order of the corpus. The fourth step finds none.
    assert chain.passage_ids == tuple(passage.id for passage in PASSAGES)
    assert [[hit.rank for hit in step.retrieved] for step in chain.steps] == [[1, 2], [1, 2], [1, 2], []]
    for number, prompt in enumerate(model.prompts[:3], start=1):
        shown = [line.removeprefix("Passage: ") for line in prompt.text.splitlines() if line.startswith("Passage: ")]
        assert shown == list(WORDS[: 2 * number])
    assert model.prompts[2].lines == "amber grove.\namber grove.\n"


@pytest.mark.parametrize(("problem", "stop"), [("too_long", StopReason.TOO_LONG), ("refused", StopReason.REFUSED)])
def test_a_writer_with_a_problem_ends_the_chain_without_an_answer(
    problem: Literal["too_long", "refused"], stop: StopReason
) -> None:
    def answer(request: StepRequest) -> Completion:
        if request.question.id == "q0" and request.rationales:
            return Completion("So the answer is: no", 3, 0, 0.0, problem=problem)
        return Completion("So the answer is: x" if request.rationales else "birch.", 3, 2, 0.0)

    bad, good = run(Recorder(answer), questions=[question(0), question(1)])
    assert (bad.question_id, bad.answer, bad.stop_reason) == ("q0", None, stop)
    assert bad.rationales == ("birch.", "")
    assert (good.question_id, good.answer, good.stop_reason) == ("q1", "x", StopReason.ANSWERED)


def test_tokens_and_seconds_of_each_step_are_kept() -> None:
    def answer(request: StepRequest) -> Completion:
        number = len(request.rationales)
        return Completion("birch." if number == 0 else "So the answer is: x", 10 + number, 3 + number, 0.25 + number)

    (chain,) = run(Recorder(answer))
    assert [(step.prompt_tokens, step.output_tokens, step.seconds) for step in chain.steps] == [
        (10, 3, 0.25),
        (11, 4, 1.25),
    ]


def lengths(prompt: Prompt) -> str:
    """A script under which question n takes n steps."""
    wanted = int(prompt.context.rpartition("Question: n")[2].split()[0])
    return "So the answer is: x" if steps_so_far(prompt) + 1 == wanted else f"birch {wanted}."


NUMBERED = [question(number, f"n{number} amber") for number in (3, 1, 2, 4, 1, 2)]
ASKED = [each.model_copy(update={"id": f"a{place}"}) for place, each in enumerate(NUMBERED)]


def test_chains_come_as_they_end_and_a_window_ends_before_the_next_begins() -> None:
    chains = run(ModelWriter(ScriptedModel(lengths)), questions=ASKED, how=settings(window=3))
    assert [chain.question_id for chain in chains] == ["a1", "a2", "a0", "a4", "a5", "a3"]
    assert [len(chain.steps) for chain in chains] == [1, 2, 3, 1, 2, 4]


@pytest.mark.parametrize("window", [1, 2, 100])
def test_the_window_changes_no_chain(window: int) -> None:
    expected = run(ModelWriter(ScriptedModel(lengths)), questions=ASKED, how=settings(window=3))
    found = run(ModelWriter(ScriptedModel(lengths)), questions=ASKED, how=settings(window=window))
    assert sorted(found, key=lambda chain: chain.question_id) == sorted(expected, key=lambda chain: chain.question_id)


@pytest.mark.parametrize("done", [[], ["a1"], ["a0", "a1", "a2"], ["a1", "a4"], [each.id for each in ASKED]])
def test_resuming_yields_exactly_the_missing_chains_and_the_same(done: list[str]) -> None:
    whole = run(ModelWriter(ScriptedModel(lengths)), questions=ASKED, how=settings(window=3))
    missing = run(ModelWriter(ScriptedModel(lengths)), questions=ASKED, how=settings(window=3), done=done)
    assert missing == [chain for chain in whole if chain.question_id not in done]


def test_a_window_is_computed_again_as_a_whole_or_not_at_all() -> None:
    writer = Recorder(lambda request: Completion("So the answer is: x", 1, 1, 0.0))
    run(writer, questions=ASKED, how=settings(window=3), done=["a0", "a1", "a2", "a4"])
    assert [[request.question.id for request in batch] for batch in writer.batches] == [["a3", "a4", "a5"]]


def test_windows_with_any_missing_chain_are_left() -> None:
    def left(*done: str) -> list[list[str]]:
        return [[each.id for each in window] for window in windows_left(ASKED[:5], done, 2)]

    assert left() == [["a0", "a1"], ["a2", "a3"], ["a4"]]
    assert left("a0", "a1", "a3") == [["a2", "a3"], ["a4"]]
    assert left(*(each.id for each in ASKED)) == []


def test_sampling_seeds_depend_on_seed_question_and_step_alone() -> None:
    def seeds(questions: list[Question], window: int, seed: int) -> dict[tuple[str, int], int]:
        writer = Recorder(lambda request: Completion("birch.", 1, 1, 0.0))
        run(writer, questions=questions, how=settings(window=window, max_steps=3, seed=seed))
        return {
            (request.question.id, len(request.rationales) + 1): request.seed
            for batch in writer.batches
            for request in batch
        }

    first = seeds(ASKED, 3, 7)
    assert first == seeds(ASKED[::-1], 2, 7)
    assert first == {(each.id, step): step_seed(7, each.id, step) for each in ASKED for step in (1, 2, 3)}
    assert len(set(first.values())) == 18
    assert not set(first.values()) & set(seeds(ASKED, 3, 8).values())
    # torch takes seeds below 2 ** 63.
    assert all(0 <= seed < 2**63 for seed in first.values())


def test_no_question_needs_no_writer() -> None:
    assert run(Recorder(lambda request: Completion("", 0, 0, 0.0)), questions=[]) == []


def test_lines_are_sampled_by_the_seed_of_the_run_and_not_by_that_of_the_data() -> None:
    gold = ModelSection(backend="gold", model="gold")
    asked = (gold, ReasoningSection(), RetrievalSection(top_k=1), RETRIEVER, (), 1)
    assert open_system(*asked).settings.seed == 1
    assert open_system(*asked, sampling_seed=2).settings.seed == 2


def test_passages_retrieved_before_leave_their_places_empty_where_nothing_refills_them() -> None:
    """With K = 2 the same query finds the same two passages again; refilled, the next best ones."""
    writer = Recorder(lambda request: Completion("amber grove?", 1, 1, 0.0))
    for refill, fresh in ((True, [2, 2, 2]), (False, [2, 0, 0])):
        how = dataclasses.replace(settings(top_k=2, max_steps=3), refill=refill)
        (chain,) = run(writer, how=how)
        assert [len(step.retrieved) for step in chain.steps] == fresh
        assert [step.duplicates for step in chain.steps] == [0, 2, 2]


def test_a_line_that_was_cut_is_kept_as_one() -> None:
    writer = Recorder(
        lambda request: Completion(
            "So the answer is: x" if request.rationales else "birc", 1, 1, 0.0, cut=not request.rationales
        )
    )
    (chain,) = run(writer)
    assert [step.cut for step in chain.steps] == [True, False]


def test_what_stands_in_no_config_where_it_is_the_default() -> None:
    """Digests of the configs of earlier runs stay what they are."""
    assert RetrievalSection().model_dump(mode="json") == {"top_k": 4, "k1": 1.5, "b": 0.75}
    assert RetrievalSection(refill=False).model_dump(mode="json")["refill"] is False
    asked = (ModelSection(backend="gold", model="gold"), ReasoningSection(), RetrievalSection(top_k=1, refill=False))
    assert open_system(*asked, RETRIEVER, (), 1).settings.refill is False
