from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from steper_core import worlds
from steper_core.errors import UserError
from steper_core.records import Passage, Question
from steper_core.world_draw import Draw
from steper_core.world_facts import Entity, invent
from steper_core.world_names import ENDS, REAL_WORDS, STARTS, Namer
from steper_core.world_relations import RELATIONS
from steper_core.world_texts import SENTENCES, write_passages
from steper_core.worlds import KINDS, World, WorldConfig, generate, write

DIGEST = "10989b5c37a313f717030e5f1a01490cee7cf83d56b92c5196d5014bac9bfeee"


def digest(folder: Path) -> str:
    content = b"".join((folder / name).read_bytes() for name in worlds.FILES)
    return hashlib.sha256(content).hexdigest()


def questions_of(world: World) -> tuple[Question, ...]:
    return world.train + world.held_out + world.test


def value_of(answer: str) -> datetime:
    """A date ("3 May 1902") or a year, comparable."""
    return datetime.strptime(answer, "%d %B %Y" if " " in answer else "%Y")


def check_invariants(world: World, config: WorldConfig) -> None:
    passages = {passage.id: passage for passage in world.passages}
    questions = questions_of(world)
    assert len(passages) == len(world.passages) == config.passages
    assert len({passage.title.lower() for passage in world.passages}) == config.passages
    assert (len(world.train), len(world.held_out), len(world.test)) == (
        config.train_questions,
        config.held_out_questions,
        config.test_questions,
    )
    assert len({question.id for question in questions}) == len(questions)
    assert len({question.text for question in questions}) == len(questions)
    for split in (world.train, world.held_out, world.test):
        assert sum(question.answer in ("yes", "no") for question in split) * 10 <= len(split)
    chains = [tuple(hop.statement for hop in question.hops) for question in questions if question.kind == "bridge"]
    assert len(set(chains)) == len(chains)
    for question in questions:
        assert question.dataset == "worlds"
        assert question.kind in config.kinds
        assert config.hops[0] <= len(question.hops) <= config.hops[1]
        assert question.answer not in question.aliases
        check_hops(question, passages)
        check_answer(question, passages)


def check_hops(question: Question, passages: dict[str, Passage]) -> None:
    for number, hop in enumerate(question.hops):
        assert hop.passage_id is not None
        assert hop.answer is not None
        gold = passages[hop.passage_id]
        assert hop.answer in gold.text
        assert hop.answer in hop.statement
        assert hop.answer not in hop.question
        assert gold.title in hop.question
        assert gold.title in hop.statement
        assert all(earlier < number for earlier in hop.depends_on)
        for earlier in hop.depends_on:
            assert question.hops[earlier].answer == gold.title
        if not hop.depends_on:
            assert gold.title in question.text
        assert not re.search(r"[{}]|\s\s", f"{question.text} {hop.question} {hop.statement} {gold.text}")


def check_answer(question: Question, passages: dict[str, Passage]) -> None:
    answers = [hop.answer or "" for hop in question.hops]
    if question.kind in ("bridge", "inference"):
        assert question.answer == answers[-1]
        assert question.answer not in question.text
        return
    if question.answer in ("yes", "no"):
        assert question.answer == ("yes" if answers[0] == answers[1] else "no")
        return
    titles = [passages[hop.passage_id or ""].title for hop in question.hops[:2]]
    values = [value_of(answer) for answer in answers[-2:]]
    assert values[0] != values[1]
    late = "later" in question.text or "younger" in question.text
    assert question.answer == titles[(values[0] < values[1]) == late]


@pytest.fixture(scope="module")
def world() -> World:
    return generate(WorldConfig())


def test_the_default_world_keeps_all_promises(world: World) -> None:
    check_invariants(world, WorldConfig())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    passages=st.integers(20, 150),
    sentences=st.integers(1, 6),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, unique=True),
    hops=st.sampled_from([(2, 2), (2, 3), (2, 4), (3, 4), (4, 4)]),
    sizes=st.tuples(st.integers(0, 40), st.integers(0, 15), st.integers(0, 15)),
)
def test_every_world_keeps_all_promises(
    seed: int,
    passages: int,
    sentences: int,
    kinds: list[worlds.Kind],
    hops: tuple[int, int],
    sizes: tuple[int, int, int],
) -> None:
    try:
        config = WorldConfig(
            seed=seed,
            passages=passages,
            sentences=sentences,
            kinds=tuple(kinds),
            hops=hops,
            train_questions=sizes[0],
            held_out_questions=sizes[1],
            test_questions=sizes[2],
        )
    except ValidationError as error:
        assert "between" in str(error)
        return
    try:
        generated = generate(config)
    except UserError as error:
        assert f"{sum(sizes)} questions were asked for" in str(error)
        return
    check_invariants(generated, config)


def test_the_same_settings_give_the_same_bytes_everywhere(tmp_path: Path) -> None:
    config = WorldConfig(seed=7, passages=60, train_questions=40, held_out_questions=10, test_questions=10, sentences=3)
    write(generate(config), tmp_path)
    assert digest(tmp_path) == DIGEST


def test_another_seed_gives_another_world(world: World) -> None:
    other = generate(WorldConfig(seed=1))
    assert not {passage.id for passage in world.passages} & {passage.id for passage in other.passages}
    assert not {question.text for question in world.train} & {question.text for question in other.train}


def test_every_kind_and_number_of_hops_occurs_in_every_split(world: World) -> None:
    expected = {("bridge", 2), ("bridge", 3), ("bridge", 4), ("comparison", 2), ("bridge-comparison", 4)}
    expected.add(("inference", 2))
    for split in (world.train, world.held_out, world.test):
        assert {(question.kind, len(question.hops)) for question in split} == expected


def test_yes_and_no_are_about_equally_frequent(world: World) -> None:
    counts = Counter(question.answer for question in questions_of(world))
    assert counts["yes"] > 0
    assert abs(counts["yes"] - counts["no"]) <= 3


def test_no_answer_is_frequent_enough_to_be_guessed(world: World) -> None:
    (_, most), *_ = Counter(question.answer for question in questions_of(world)).most_common(1)
    assert most <= len(questions_of(world)) * 0.05


def test_the_first_named_of_a_comparison_is_no_better_guess(world: World) -> None:
    compared = [question for question in questions_of(world) if question.answer in question.text]
    first = sum(question.text.index(question.answer) < len(question.text) * 0.6 for question in compared)
    assert 0.3 < first / len(compared) < 0.7


def test_ids_name_seed_split_and_number(world: World) -> None:
    assert world.train[12].id == "w0-train-00012"
    assert world.held_out[3].id == "w0-held_out-00003"
    assert world.test[0].id == "w0-test-00000"


def test_passages_are_short_by_default_and_longer_on_demand(world: World) -> None:
    def mean_words(passages: tuple[Passage, ...]) -> float:
        return sum(len(passage.text.split()) for passage in passages) / len(passages)

    longer = generate(WorldConfig(sentences=6, train_questions=0, held_out_questions=0, test_questions=0))
    assert 20 <= mean_words(world.passages) <= 35
    assert mean_words(longer.passages) > 1.6 * mean_words(world.passages)
    assert all(len(re.findall(r"\.(?= |$)", passage.text)) == 2 for passage in world.passages)


def test_most_gold_passages_have_a_near_miss(world: World) -> None:
    passages = {passage.id: passage for passage in world.passages}
    bearers = Counter(word for passage in world.passages for word in set(passage.title.split()))
    invented = {word for word in bearers if word.lower().startswith(STARTS)}
    golds = [passages[id_].title for question in questions_of(world) for id_ in question.gold_passage_ids]
    shared = sum(any(bearers[word] > 1 for word in title.split() if word in invented) for title in golds)
    assert shared > 0.6 * len(golds)


def test_a_surname_is_an_alias_only_where_it_is_unambiguous() -> None:
    facts = invent(seed=3, size=300)
    surnames = Counter(person.name.split()[-1] for person in facts.people)
    for person in facts.people:
        assert (person.aliases == (person.name.split()[-1],)) == (surnames[person.name.split()[-1]] == 1)


def test_dates_countries_and_rivers_have_aliases(world: World) -> None:
    aliases = {question.answer: question.aliases for question in questions_of(world)}
    when = next(answer for answer in aliases if re.fullmatch(r"\d+ [A-Z][a-z]+ \d{4}", answer))
    day, month, year = when.split()
    assert aliases[when] == (f"{month} {day}, {year}", f"{value_of(when):%Y-%m-%d}")
    assert any(alias.endswith(f" of {answer}") for answer in aliases for alias in aliases[answer])
    assert any(alias == f"River {answer}" for answer in aliases for alias in aliases[answer])


def test_parents_are_older_and_belong_to_another_generation() -> None:
    people = invent(seed=2, size=400).people
    children = [person for person in people if "father" in person.facts]
    assert children
    for child in children:
        for relation in ("father", "mother"):
            parent = child.facts[relation]
            assert isinstance(parent, Entity)
            assert parent.generation == child.generation - 1
    for person in people:
        spouse = person.facts.get("spouse")
        assert spouse is None or (isinstance(spouse, Entity) and spouse.facts["spouse"] is person)


def test_names_are_invented_and_have_two_syllables_or_more(world: World) -> None:
    namer = Namer(Draw("test"))
    words = [namer.word(kind) for kind in ENDS for _ in range(1500)]
    assert len(set(words)) == len(words)
    for word in words:
        assert word.lower() not in REAL_WORDS
        assert len(re.findall(r"[aeiouy]+", word.lower())) >= 2
    titles = {word.lower() for passage in world.passages for word in passage.title.split()}
    assert not titles & REAL_WORDS


def test_every_relation_is_stated_somewhere_and_asked_in_readable_words() -> None:
    fields = set(re.findall(r"{(\w+)}", " ".join(itertools.chain(*itertools.chain(*SENTENCES.values())))))
    assert set(RELATIONS) <= fields
    for relation in RELATIONS.values():
        assert all(ask.endswith("?") for ask in relation.asks)
        assert not relation.nouns or any(noun.endswith("{x}") or "where" in noun for noun in relation.nouns)


def test_facts_without_a_sentence_are_not_asked_for() -> None:
    for item in write_passages(invent(seed=0, size=100), sentences=1, seed=0):
        assert not item.stated & {"father", "mother", "spouse", "employer"}


def test_a_kind_outside_the_hops_is_left_out() -> None:
    small = generate(WorldConfig(hops=(2, 3), train_questions=60, held_out_questions=0, test_questions=0))
    assert {question.kind for question in small.train} == {"bridge", "comparison", "inference"}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_smallest_world_has_questions_of_every_kind(seed: int) -> None:
    config = WorldConfig(seed=seed, passages=20, train_questions=30, held_out_questions=10, test_questions=10)
    tiny = generate(config)
    check_invariants(tiny, config)
    assert {question.kind for question in questions_of(tiny)} == set(KINDS)


def test_too_many_questions_are_refused_with_the_number_that_is_possible() -> None:
    config = WorldConfig(passages=20, train_questions=5000, held_out_questions=0, test_questions=0)
    with pytest.raises(UserError, match=r"can give \d+ .*raise `passages`") as caught:
        generate(config)
    found = re.search(r"can give (\d+)", str(caught.value))
    assert found
    assert 0 < int(found[1]) < 5000
    config = WorldConfig(passages=20, train_questions=int(found[1]), held_out_questions=0, test_questions=0)
    check_invariants(generate(config), config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hops", (3, 2)),
        ("hops", (1, 4)),
        ("hops", (2, 5)),
        ("kinds", ()),
        ("kinds", ("bridge", "bridge")),
        ("kinds", ("riddle",)),
        ("passages", 19),
        ("passages", 100_001),
        ("sentences", 0),
        ("seed", -1),
        ("size", 3),
    ],
)
def test_impossible_settings_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        WorldConfig.model_validate({field: value})


def test_kinds_and_hops_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="between 3 and 3 hops"):
        WorldConfig(kinds=("comparison", "inference"), hops=(3, 3))


def test_what_is_written_is_read_back_unchanged(world: World, tmp_path: Path) -> None:
    write(world, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == sorted(worlds.FILES)
    corpus = [Passage.model_validate_json(line) for line in (folder / "corpus.jsonl").read_bytes().splitlines()]
    test = [Question.model_validate_json(line) for line in (folder / "test.jsonl").read_bytes().splitlines()]
    assert tuple(corpus) == world.passages
    assert tuple(test) == world.test


def test_a_killed_write_is_not_mistaken_for_a_complete_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(world, tmp_path)
    before = digest(tmp_path)
    done: list[Path] = []
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(generate(WorldConfig(seed=1)), tmp_path)
    assert not all((tmp_path / name).exists() for name in worlds.FILES)
    monkeypatch.undo()
    write(world, tmp_path)
    assert digest(tmp_path) == before
