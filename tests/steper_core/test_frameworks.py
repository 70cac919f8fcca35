"""Frameworks, and the systems that are put together from a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from steper_core.config import ModelSection, ReasoningSection, RetrievalSection
from steper_core.errors import UserError
from steper_core.frameworks import CLOSED_BOOK, FRAMEWORKS, IRCOT, RAG, framework_named
from steper_core.records import Hop, Passage, Question, StopReason
from steper_core.retrieval import Retriever
from steper_core.systems import as_student, open_system, with_framework
from steper_core.teaching import GoldWriter
from steper_core.writers import ModelWriter, TaskWriter

PASSAGES = [Passage.of(word, f"{word} grove") for word in ("amber", "birch", "canal")]
HOPS = tuple(Hop(question="?", answer="a", statement=f"{p.title} it is.", passage_id=p.id) for p in PASSAGES[:2])
QUESTION = Question(id="q", dataset="d", text="amber?", answer="Tiv", hops=HOPS)
GOLD = ModelSection(backend="gold", model="gold")
RETRIEVER = Retriever.build(PASSAGES)


def test_frameworks_are_found_by_name() -> None:
    assert [framework_named(name) for name in ("ircot", "rag", "closed-book")] == [IRCOT, RAG, CLOSED_BOOK]
    assert all(framework.name == name for name, framework in FRAMEWORKS.items())


def test_an_unknown_framework_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="unknown framework 'cot'; there are: ircot, rag, closed-book"):
        framework_named("cot")


def test_only_an_iterating_framework_takes_more_than_one_step() -> None:
    assert [framework.last_step(5) for framework in (IRCOT, RAG, CLOSED_BOOK)] == [5, 1, 1]


def test_only_a_retrieving_framework_fetches_passages() -> None:
    assert [framework.passages_at(1, 4) for framework in (IRCOT, RAG, CLOSED_BOOK)] == [4, 4, 0]
    assert IRCOT.passages_at(3, 4) == 4


@pytest.mark.parametrize(
    ("lines", "query"), [((), "amber?"), (("One.",), "One."), (("One.", ""), "One."), (("", ""), "amber?")]
)
def test_the_query_is_the_last_line_that_says_anything_else_the_question(lines: tuple[str, ...], query: str) -> None:
    assert IRCOT.query(QUESTION, lines) == query


def test_a_gold_system_answers_with_real_retrieval() -> None:
    system = open_system(GOLD, ReasoningSection(max_steps=4), RetrievalSection(top_k=1), RETRIEVER, [], seed=0)
    assert isinstance(system.writer, GoldWriter) and system.facts == {}
    (chain,) = system.answer([QUESTION])
    # The second query, "amber it is.", matches only the passage that is there already; the third finds birch.
    assert [len(step.retrieved) for step in chain.steps] == [1, 0, 1]
    assert chain.rationales == ("amber it is.", "birch it is.", "So the answer is: Tiv")
    assert (chain.answer, chain.stop_reason) == ("Tiv", StopReason.ANSWERED)
    assert chain.steps[2].retrieved[0].passage_id == PASSAGES[1].id
    assert list(system.answer([QUESTION], done={"q"})) == []


def test_more_passages_a_step_than_the_corpus_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"retrieval\.top_k = 4"):
        open_system(GOLD, ReasoningSection(), RetrievalSection(top_k=4), RETRIEVER, [], seed=0)


def test_a_local_system_shows_demonstrations_and_measures_its_model(tiny_model: Path) -> None:
    model = ModelSection(model=str(tiny_model), demonstrations=1, dtype="float32", device="cpu")
    reasoning = ReasoningSection(max_steps=2, max_new_tokens=4)
    system = open_system(model, reasoning, RetrievalSection(top_k=1), RETRIEVER, [QUESTION], seed=0)
    assert isinstance(system.writer, ModelWriter)
    assert [demonstration.question for demonstration in system.writer.demonstrations] == ["amber?"]
    # 2 x 257 x 32 embeddings, two layers of 9,280 and a last norm of 32: see test_checkpoints.
    assert system.facts["parameters_total"] == 35_040
    (chain,) = system.answer([QUESTION])
    assert len(chain.steps) == 2 and chain.stop_reason is StopReason.FORCED


def test_a_model_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    model = ModelSection(model=str(tmp_path))
    with pytest.raises(UserError, match="is no checkpoint folder"):
        open_system(model, ReasoningSection(), RetrievalSection(top_k=1), RETRIEVER, [], seed=0)


def test_a_server_system_needs_a_key_or_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    server = ModelSection(backend="openai", model="m", demonstrations=0)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        open_system(server, ReasoningSection(), RetrievalSection(top_k=1), RETRIEVER, [], seed=0)
    named = server.model_copy(update={"base_url": "http://127.0.0.1:1/v1"})
    system = open_system(named, ReasoningSection(), RetrievalSection(top_k=1), RETRIEVER, [], seed=0)
    assert isinstance(system.writer, ModelWriter) and system.writer.demonstrations == ()


def test_a_trained_checkpoint_takes_the_models_place_without_demonstrations() -> None:
    server = ModelSection(backend="openai", model="m", demonstrations=3, batch_size=5)
    found = as_student(server, "runs/s/checkpoints/checkpoint-4", "steper")
    assert not found.tasks and as_student(server, "x", "multitask-kd").tasks
    assert (found.backend, found.model, found.demonstrations) == ("local", "runs/s/checkpoints/checkpoint-4", 0)
    assert found.batch_size == 5


def test_another_framework_leaves_the_other_settings() -> None:
    found = with_framework(ReasoningSection(max_steps=7, window=3), "rag")
    assert found == ReasoningSection(max_steps=7, window=3, framework="rag")
    with pytest.raises(ValueError, match="framework"):
        with_framework(ReasoningSection(), "cot")


def test_a_student_of_two_tasks_is_asked_by_their_prompts(tiny_model: Path) -> None:
    base = ModelSection(backend="local", model="elsewhere", device="cpu", dtype="float32")
    writers = {
        method: open_system(
            as_student(base, str(tiny_model), method),
            ReasoningSection(),
            RetrievalSection(top_k=1),
            RETRIEVER,
            [],
            seed=0,
        ).writer
        for method in ("multitask-kd", "vanilla-kd")
    }
    assert isinstance(writers["multitask-kd"], TaskWriter) and isinstance(writers["vanilla-kd"], ModelWriter)
