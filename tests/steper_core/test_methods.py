"""Which examples each method trains on, and how a student of two tasks writes."""

from __future__ import annotations

import pytest

from steper_core.config import TrainSection
from steper_core.methods import plan_of
from steper_core.prompts import Prompt, build_prompt
from steper_core.records import Chain, Question
from steper_core.writers import ScriptedModel, StepRequest, TaskWriter

from .test_examples import FOUR, KNOWN, PASSAGES, QUESTION, chain

ALL = build_prompt(QUESTION.text, PASSAGES).context
PATH = "\n".join(FOUR)


def found(of: Chain, **settings: object) -> list[tuple[str, str, str]]:
    plan = plan_of(TrainSection.model_validate(settings))
    examples = plan.examples(QUESTION, of, KNOWN)
    assert all(example.task in plan.tasks for example in examples)
    return [(example.task, example.prompt, example.target) for example in examples]


def test_answer_kd_learns_the_last_line_from_all_passages() -> None:
    assert found(chain(*FOUR), method="answer-kd") == [("answer", ALL, FOUR[-1])]


@pytest.mark.parametrize("method", ["vanilla-kd", "logit-kd", "feature-kd"])
def test_the_whole_path_from_all_passages(method: str) -> None:
    assert found(chain(*FOUR), method=method) == [("aggregation", ALL, PATH)]


def test_multitask_kd_learns_rationale_and_answer_apart() -> None:
    first, second = found(chain(*FOUR), method="multitask-kd")
    # As the writer asks: after a line break there is another line, or the end.
    assert first == ("rationale", ALL, "".join(f"{line}\n" for line in FOUR[:-1]))
    assert second == ("answer", ALL.replace("Reasoning:", "Answer:"), FOUR[-1])
    # A chain of one line has nothing before its answer.
    assert [task for task, *_ in found(chain(FOUR[-1]), method="multitask-kd")] == ["answer"]


@pytest.mark.parametrize(
    ("abilities", "tasks"),
    [
        (["initialization", "aggregation"], ["initialization", "aggregation"]),
        (["expansion"], ["expansion", "expansion"]),
        (["initialization", "expansion", "aggregation"], ["initialization", "expansion", "expansion", "aggregation"]),
    ],
)
def test_steper_learns_the_steps_of_the_abilities_asked_for(abilities: list[str], tasks: list[str]) -> None:
    weighting = "uniform" if len(abilities) == 1 else "learned"
    examples = found(chain(*FOUR), method="steper", abilities=abilities, weighting=weighting)
    assert [task for task, *_ in examples] == tasks


def test_of_many_expansion_steps_the_first_are_learned_alone() -> None:
    lines = ("One.", "Two.", "Three.", "Four.", FOUR[-1])
    long = chain(*lines, passages=((0,), (1,), (2,), (3,), ()))
    learned = {count: found(long, expansion_steps=count) for count in (1, 2, 3, None)}
    kept = {count: [len(target.split("\n")) for *_, target in examples] for count, examples in learned.items()}
    assert kept == {1: [1, 2, 5], 2: [1, 2, 3, 5], 3: [1, 2, 3, 4, 5], None: [1, 2, 3, 4, 5]}
    only = found(long, abilities=["expansion"], weighting="uniform", expansion_steps=1)
    assert [(task, target) for task, _, target in only] == [("expansion", "One.\nTwo.")]


def request(*lines: str, force: bool = False, text: str = "Who?") -> StepRequest:
    return StepRequest(Question(id=text, dataset="d", text=text, answer="a"), tuple(PASSAGES[:2]), lines, force, 0)


def test_a_student_of_two_tasks_reasons_then_answers_by_the_other_prompt() -> None:
    def script(prompt: Prompt) -> str:
        if "Answer:" in prompt.context:
            return " Tiv"
        return "" if "One." in prompt.lines else "One."

    model = ScriptedModel(script)
    writer = TaskWriter(model)
    going, ending, forced = writer.write([request(), request("One.", text="Whom?"), request("One.", force=True)])
    assert going.text == "One."
    assert ending.text == "So the answer is: Tiv"
    assert forced.text == " Tiv"
    # The answer is asked for without the lines so far, and after its flag.
    answered = [prompt for prompt in model.prompts if "Answer:" in prompt.context]
    assert [prompt.lines for prompt in answered] == ["So the answer is:"] * 2
    asked = next(prompt for prompt in model.prompts if prompt.lines == "One.\n")
    assert ending.prompt_tokens == len(asked.text.split()) + len(answered[0].text.split())
