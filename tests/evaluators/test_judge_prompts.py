"""What a judge reads, and that judged text stays inside its fence whatever it says."""

from __future__ import annotations

import re

import pytest

from evaluators.judge_prompts import (
    NO_STEPS,
    NO_SUB_QUESTIONS,
    Item,
    Prompter,
    asked_of,
    fence,
    items_of,
    quote,
    why_unjudged,
)
from evaluators.rubric import RUBRICS, load_rubric
from steper_core.errors import UserError
from steper_core.records import Passage, Step
from tests.fakes.injections import INJECTIONS
from tests.fakes.judged_chains import LAKE, PASSAGES, THREE_LINES, TOWN, chain, question

FENCES = re.compile(r"\A(.*\n)<<<DATA ([0-9a-f]{24})\n(.*)\nDATA ([0-9a-f]{24})>>>\n(.*)\Z", re.DOTALL)
GOOD = chain(*THREE_LINES)
RIVAL = chain("Lake Tiv is deep.", "So the answer is: Orvale", answer="Orvale")


def user_text(rubric: str, item: Item, passages: dict[str, Passage] = PASSAGES) -> str:
    system, user = Prompter(load_rubric(rubric), passages).messages(item)
    assert (system["role"], user["role"]) == ("system", "user")
    return user["content"]


def parts_of(text: str) -> tuple[str, str, list[str], str]:
    """(before, token, lines of the material, after) of a user message with one fence."""
    found = FENCES.match(text)
    assert found and found[2] == found[4] and text.count("<<<") == text.count(">>>") == 1
    assert text.count(found[2]) == 2
    return found[1], found[2], found[3].split("\n"), found[5]


def material(rubric: str, item: Item) -> list[str]:
    return parts_of(user_text(rubric, item))[2]


def test_a_chain_is_shown_with_its_passages_once_and_its_steps_in_order() -> None:
    assert material("abilities", Item(question(), GOOD)) == [
        'question: "Where is Lake Tiv?"',
        'accepted answers: "Morland", "The Morland"',
        'passage 1: title "Lake Tiv" text "Lake Tiv lies in Orvale."',
        'passage 2: title "Orvale" text "Orvale is a town in Morland."',
        'step 1 searched for: "query 1"',
        "step 1 found: passage 1",
        'step 1 wrote: "Lake Tiv lies in Orvale."',
        'step 2 searched for: "query 2"',
        "step 2 found: passage 2",
        'step 2 wrote: "Orvale is in Morland."',
        'step 3 searched for: "query 3"',
        "step 3 found: nothing new",
        'step 3 wrote: "So the answer is: Morland"',
        'answer: "Morland"',
    ]
    assert material("abilities", Item(question(), chain("x", answer=None)))[-1] == "answer: none was given"


def test_a_step_is_shown_with_what_came_before_it_and_nothing_after() -> None:
    shown = material("steps", Item(question(), GOOD, step=1))
    assert shown[-2:] == ['step 1 wrote: "Lake Tiv lies in Orvale."', "the step to judge: step 1"]
    assert not any("Morland." in line or "step 2" in line for line in shown)
    assert material("steps", Item(question(), GOOD, step=2))[-1] == "the step to judge: step 2"


def test_sub_questions_are_shown_with_the_lines_but_without_passages() -> None:
    assert material("subqa", Item(question(), GOOD)) == [
        'question: "Where is Lake Tiv?"',
        'sub-question hop1: "Sub-question 1?" accepted answer: "part 1"',
        'sub-question hop2: "Sub-question 2?" accepted answer: "part 2"',
        'step 1 wrote: "Lake Tiv lies in Orvale."',
        'step 2 wrote: "Orvale is in Morland."',
        'step 3 wrote: "So the answer is: Morland"',
    ]


def test_a_pair_is_shown_in_both_orders_over_the_same_passages() -> None:
    ab, ba = items_of(load_rubric("pairwise"), question(), GOOD, RIVAL)
    first, second = material("pairwise", ab), material("pairwise", ba)
    assert (ab.order, ba.order) == ("ab", "ba")
    assert 'first chain, answer: "Morland"' in first and 'second chain, answer: "Orvale"' in first
    assert 'first chain, answer: "Orvale"' in second and 'second chain, answer: "Morland"' in second
    assert sum(line.startswith("passage ") for line in first) == 2 and first[:4] == second[:4]


def test_equal_items_give_equal_messages_and_the_system_message_is_the_same_for_all() -> None:
    prompter = Prompter(load_rubric("steps"), PASSAGES)
    one, other = (prompter.messages(Item(question(), GOOD, step=number)) for number in (1, 2))
    assert one == Prompter(load_rubric("steps"), PASSAGES).messages(Item(question(), GOOD, step=1))
    assert one[0] == other[0] and one[1] != other[1]


def test_what_is_asked_depends_on_the_abilities_that_the_chain_has() -> None:
    rubric = load_rubric("abilities")
    asked = {
        lines: [each.name for each in asked_of(rubric, Item(question(), chain(*THREE_LINES[-lines:])))]
        for lines in (1, 2, 3)
    }
    assert asked == {
        1: ["aggregation"],
        2: ["initialization", "aggregation"],
        3: ["initialization", "expansion", "aggregation"],
    }
    assert [each.name for each in asked_of(load_rubric("subqa"), Item(question(hops=3), GOOD))] == [
        "hop1",
        "hop2",
        "hop3",
    ]


@pytest.mark.parametrize("name", RUBRICS.names())
def test_the_request_names_every_key_and_label(name: str) -> None:
    rubric = load_rubric(name)
    item = items_of(rubric, question(), GOOD, RIVAL)[0]
    after = parts_of(user_text(name, item))[3]
    keys = [line.partition(":")[0] for line in after.splitlines()[1:]]
    assert keys == [
        '"explanation"',
        *(['"tags"'] if rubric.tags else []),
        *(f'"{a.name}"' for a in asked_of(rubric, item)),
    ]
    assert all(f'"{label}"' in after for label in (*rubric.verdicts[0].labels, *rubric.tags))


def test_what_is_judged_by_each_rubric() -> None:
    asked = question()
    assert [item.step for item in items_of(load_rubric("steps"), asked, GOOD)] == [1, 2, 3]
    assert items_of(load_rubric("abilities"), asked, GOOD) == (Item(asked, GOOD),)
    with pytest.raises(ValueError, match="two chains"):
        items_of(load_rubric("pairwise"), asked, GOOD)


def test_what_cannot_be_judged_is_not_asked_and_says_why() -> None:
    subqa, steps, pairwise = (load_rubric(name) for name in ("subqa", "steps", "pairwise"))
    assert why_unjudged(subqa, question(hops=0), GOOD) == NO_SUB_QUESTIONS
    assert why_unjudged(subqa, question(sub_answers=False), GOOD) == NO_SUB_QUESTIONS
    assert why_unjudged(steps, question(), chain(answer=None)) == NO_STEPS
    assert why_unjudged(subqa, question(), GOOD) is why_unjudged(pairwise, question(), chain()) is None
    assert items_of(subqa, question(hops=0), GOOD) == () == items_of(steps, question(), chain())


def test_a_passage_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(UserError, match=TOWN.id):
        Prompter(load_rubric("abilities"), {LAKE.id: LAKE}).messages(Item(question(), GOOD))


def test_the_token_is_made_of_the_material() -> None:
    tokens = {text: fence(text).splitlines()[0].removeprefix("<<<DATA ") for text in ("x", "y")}
    assert fence("x") == f"<<<DATA {tokens['x']}\nx\nDATA {tokens['x']}>>>"
    assert len(set(tokens.values())) == 2


def spoilt(place: str, text: str) -> tuple[Item, dict[str, Passage]]:
    """The good chain with a text in one place."""
    asked, judged, passages = question(), GOOD, dict(PASSAGES)

    def with_step(**changes: str) -> None:
        nonlocal judged
        steps: list[Step] = list(judged.steps)
        steps[1] = steps[1].model_copy(update=changes)
        judged = judged.model_copy(update={"steps": tuple(steps)})

    if place in ("title", "text"):
        passages[LAKE.id] = LAKE.model_copy(update={place: text})
    elif place in ("rationale", "query"):
        with_step(**{place: text})
    elif place == "answer":
        judged = judged.model_copy(update={"answer": text})
    elif place == "question":
        asked = asked.model_copy(update={"text": text})
    else:
        asked = asked.model_copy(update={"aliases": (text,)})
    return Item(asked, judged), passages


@pytest.mark.parametrize("place", ["rationale", "text", "title", "question", "query", "answer", "alias"])
@pytest.mark.parametrize("number", range(len(INJECTIONS)))
def test_no_text_leaves_its_place(place: str, number: int) -> None:
    before, token, harmless, after = parts_of(user_text("abilities", Item(question(), GOOD)))
    item, passages = spoilt(place, INJECTIONS[number].replace("{token}", token))
    found_before, found_token, found, found_after = parts_of(user_text("abilities", item, passages))
    # What stands outside the fence is the same as without the injection, and the token another.
    assert (found_before, found_after) == (before, after) and found_token != token
    # Inside, one line is another than before, and it still begins and ends as ours.
    ((old, new),) = [(a, b) for a, b in zip(harmless, found, strict=True) if a != b]
    assert new.split('"')[0] == old.split('"')[0] and new.endswith('"')
    assert not re.search(r"[<>\n\r\x00-\x1f\x85\u2028\u2029]|\[/?[A-Z_]+\]", new)


def test_there_are_at_least_twenty_injections_and_all_differ() -> None:
    assert len(set(INJECTIONS)) == len(INJECTIONS) >= 20


def test_harmless_text_is_quoted_as_it_stands() -> None:
    assert quote('She said "no" at 5 [1], [Sic] – ü.') == '"She said \\"no\\" at 5 [1], [Sic] – ü."'
    assert quote("a < b\n c") == '"a ‹ b c"'
