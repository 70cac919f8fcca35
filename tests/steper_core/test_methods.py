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
    assert first == ("rationale", ALL, "\n".join(FOUR[:-1]))
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
