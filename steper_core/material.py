"""The material of a piece of work: questions in three splits and the corpus they are answered from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steper_core.config import DataSection, Recipe
from steper_core.datasets import (
    Dataset,
    Splits,
    find_splits,
    left_out,
    merge,
    read,
    read_answered,
    read_corpus,
    with_passages_of,
    without_overlap,
)
from steper_core.environment import expand_home
from steper_core.errors import UserError
from steper_core.readers import match_key
from steper_core.records import Passage, Question
from steper_core.worlds import generate

_OF_FILES = {
    "train_questions": "train_questions",
    "held_out_questions": "held_out_questions",
    "evaluation_questions": "test_questions",
}
"""How many questions of files, and what says it of a generated world."""


@dataclass(frozen=True)
class Material:
    """Questions and corpus, with remarks on what was left out."""

    dataset: str
    training: tuple[Question, ...]
    held_out: tuple[Question, ...]
    evaluation: tuple[Question, ...]
    corpus: tuple[Passage, ...]
    remarks: tuple[str, ...] = ()


def load_material(recipe: Recipe) -> Material:
    """Read or generate what a recipe asks for.

    A sample of n questions is the first n of one seeded order, so a larger sample holds the smaller one.

    Raises:
        UserError: a source that cannot be read, or no question or passage at all.
    """
    data = recipe.data
    if not (data.paths or data.train or data.evaluation):
        if data.corpus:
            raise UserError("data.corpus is given without questions: name files with data.paths, or leave it out")
        for name, of_world in _OF_FILES.items():
            if name in data.model_fields_set:
                raise UserError(
                    f"data.{name} is about files, and none are named: name them with data.paths (--data), or set "
                    f"worlds.{of_world} for a generated world"
                )
        return _from_world(recipe)
    return _from_files(recipe.data, recipe.seed)


def _from_world(recipe: Recipe) -> Material:
    world = generate(recipe.worlds)
    return Material("worlds", world.train, world.held_out, world.test, world.passages)


def _from_files(data: DataSection, seed: int) -> Material:
    elsewhere = _expand([*data.train, *data.evaluation, *data.corpus])
    found = find_splits(_expand(data.paths), elsewhere) if data.paths else Splits((), (), ())
    corpora = [read_corpus(path) for path in (*map(expand_home, data.corpus), *found.corpus)]

    passed_over: list[str] = []

    def read_all(named: Sequence[str], found: Sequence[Path | str]) -> list[Dataset]:
        own = dict.fromkeys(_expand(named))
        beside, remarks = read_answered(found)
        passed_over.extend(remarks)
        return [with_passages_of(each, corpora) for each in (*map(read, own), *(each for _, each in beside))]

    train = read_all(data.train, found.train)
    evaluation = read_all(data.evaluation, found.evaluation)
    everything = [*train, *evaluation]
    if not everything and passed_over:
        raise UserError("; ".join(passed_over))
    if not everything:
        raise UserError(f"no questions in {', '.join(data.paths)}: name files with data.train and data.evaluation")
    corpus = merge([], corpora) if data.corpus else merge(everything, corpora)
    if not corpus:
        raise UserError("the corpus is empty: the files label no passages; give a JSONL corpus with data.corpus")
    to_learn, others_learned = _distinct(train)
    to_ask, others_asked = _distinct(evaluation)
    asked = _sample(to_ask, data.evaluation_questions, seed)
    pool, shared = without_overlap(to_learn, asked)
    wanted = None if data.train_questions is None else data.train_questions + data.held_out_questions
    chosen = _sample(pool, wanted, seed)
    held_out = chosen[: data.held_out_questions]
    return Material(
        dataset=_name(everything),
        training=chosen[data.held_out_questions :],
        held_out=held_out,
        evaluation=asked,
        corpus=corpus,
        remarks=(
            *passed_over,
            *_remarks(everything, shared),
            *others_learned,
            *others_asked,
            *_not_in_corpus([*chosen, *asked], corpus),
        ),
    )


def _not_in_corpus(questions: Sequence[Question], corpus: Sequence[Passage]) -> list[str]:
    there = {passage.id for passage in corpus}
    lacking = sum(not there.issuperset(question.gold_passage_ids) for question in questions)
    told = (
        f"{lacking} of {len(questions)} questions have a gold passage that the corpus does not hold with the same "
        "title and text: their gold recall stays below 1"
    )
    return [told] if lacking else []


def _distinct(datasets: Sequence[Dataset]) -> tuple[list[Question], list[str]]:
    """The questions of several files, of two with the same id the first; and a remark if some of these were others.

    Generated questions are numbered alike in every world.
    """
    found: dict[str, Question] = {}
    every = [question for dataset in datasets for question in dataset.questions]
    clashing = [each.id for each in every if match_key(found.setdefault(each.id, each).text) != match_key(each.text)]
    if not clashing:
        return list(found.values()), []
    what = "1 question has" if len(clashing) == 1 else f"{len(clashing)} questions have"
    left = "was" if len(clashing) == 1 else "were"
    told = f"{what} the id of another question in an earlier file and {left} left out ({clashing[0]!r})"
    return list(found.values()), [f"{told}: give each its own id"]


def _expand(sources: Sequence[str]) -> list[Path | str]:
    return [source if source.startswith("hub:") else expand_home(source) for source in sources]


def _sample(questions: Sequence[Question], count: int | None, seed: int) -> tuple[Question, ...]:
    order = list(questions)
    random.Random(seed).shuffle(order)  # noqa: S311 - sampling, no secrets
    return tuple(order[:count])


def _name(datasets: Sequence[Dataset]) -> str:
    return "+".join(dict.fromkeys(dataset.name for dataset in datasets))


def _remarks(datasets: Sequence[Dataset], shared: int) -> list[str]:
    remarks = left_out([problem for dataset in datasets for problem in dataset.problems])
    if shared:
        remarks.append(
            f"{shared} training questions also stand in the evaluation and do not count as training questions"
        )
    return remarks
