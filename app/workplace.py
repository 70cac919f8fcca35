"""What all runs of a piece of work share: recipe, material, index, and what they record of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.console import Console
from steper_core.config import DataSection, Recipe
from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.material import Material
from steper_core.records import Chain, Passage, Question
from steper_core.retrieval import IndexSettings, Retriever, corpus_digest, open_retriever
from steper_core.run_records import StudyRef
from steper_core.rundir import RunDir

OF_FILES = tuple(f"data.{key}" for key in DataSection.model_fields)
"""Where questions and passages come from: what of them a run has is known by digests, however files are called."""


@dataclass(frozen=True)
class Workplace:
    """What all runs of a piece of work share."""

    recipe: Recipe
    material: Material
    retriever: Retriever
    runs: Path
    command: str
    console: Console
    study: StudyRef | None = None


def open_workplace(recipe: Recipe, material: Material, runs: Path, command: str, console: Console) -> Workplace:
    """Index the corpus (or read its index from the runs folder)."""
    settings = IndexSettings(k1=recipe.retrieval.k1, b=recipe.retrieval.b)
    with console.status(f"indexing {len(material.corpus):,} passages"):
        retriever = open_retriever(material.corpus, settings, runs / ".index")
    return Workplace(recipe, material, retriever, runs, command, console)


def run_config(recipe: Recipe, material: Material, questions: Sequence[Question], *sections: str) -> dict[str, Any]:
    """What a run on these questions depends on: their digest, the corpus, and the recipe's sections that it uses."""
    used = ["retrieval", "data" if recipe.data.paths or recipe.data.evaluation or recipe.data.train else "worlds"]
    dumped = recipe.model_dump(mode="json")
    reasoning = {"reasoning": dumped["reasoning"]} if sections else {}
    return {
        "seed": recipe.seed,
        "corpus": corpus_digest(material.corpus),
        "questions": digest_of({"questions": [question.model_dump(mode="json") for question in questions]}),
        **{section: dumped[section] for section in (*used, *sections)},
        **reasoning,
    }


def datasets_of(questions: Sequence[Question]) -> str:
    """The datasets that questions are of, in the order of their first ones."""
    return "+".join(dict.fromkeys(question.dataset for question in questions))


def write_questions(run: RunDir, questions: Sequence[Question], passages: Mapping[str, Passage]) -> None:
    """Write a run's questions, and those of the passages that their gold hops name."""
    run.write_questions(questions)
    gold = (key for question in questions for key in question.gold_passage_ids if key in passages)
    run.append_passages(passages[key] for key in gold)


def append_passages(run: RunDir, chains: Iterable[Chain], passages: Mapping[str, Passage]) -> None:
    """Write those of the passages that the chains name; each stands in a run once."""
    named = dict.fromkeys(key for chain in chains for key in chain.passage_ids)
    missing = next((key for key in named if key not in passages), None)
    if missing is not None:
        raise UserError(f"a chain names the passage {missing!r}, which is not with the chains it came with")
    run.append_passages(passages[key] for key in named)
