"""Systems: a writer, a framework and a retriever put together to answer questions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from steper_core.checkpoints import model_facts, resolve_model
from steper_core.config import ModelSection, ReasoningSection, RetrievalSection
from steper_core.frameworks import Framework, framework_named
from steper_core.prompts import Demonstration
from steper_core.reasoning import ReasoningSettings, reason
from steper_core.records import Chain, Question
from steper_core.retrieval import Retriever, check_top_k
from steper_core.teaching import GoldWriter, demonstrations_for
from steper_core.writers import ModelWriter, StepWriter, TaskWriter


@dataclass(frozen=True)
class System:
    """Something that answers questions in steps. `facts` are measurements of its model (checkpoints.model_facts).

    `refused` are the options that its model's server turned out to refuse while it was asked.
    """

    framework: Framework
    writer: StepWriter
    retriever: Retriever
    settings: ReasoningSettings
    facts: dict[str, float] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def answer(self, questions: Sequence[Question], done: Collection[str] = frozenset()) -> Iterator[Chain]:
        """The chains of those questions that are not done yet, each as it ends."""
        return reason(
            questions,
            framework=self.framework,
            writer=self.writer,
            retriever=self.retriever,
            settings=self.settings,
            done=done,
        )


def open_system(
    model: ModelSection,
    reasoning: ReasoningSection,
    retrieval: RetrievalSection,
    retriever: Retriever,
    training: Sequence[Question],
    seed: int,
    sampling_seed: int | None = None,
) -> System:
    """Load what a configured system needs.

    Demonstrations are drawn from the training questions by `seed`; lines are sampled by `sampling_seed`, by default
    the same.

    Raises:
        UserError: an unknown framework, a top_k beyond the corpus, a model that cannot be had.
    """
    check_top_k(retrieval.top_k, len(retriever.passages))
    framework = framework_named(reasoning.framework)
    sampled = seed if sampling_seed is None else sampling_seed
    settings = ReasoningSettings(retrieval.top_k, reasoning.max_steps, reasoning.window, sampled, retrieval.refill)
    shown = demonstrations_for(training, retriever.passages, framework, model.demonstrations, seed)
    writer, facts, refused = _open_writer(model, reasoning.max_new_tokens, shown)
    return System(framework, writer, retriever, settings, facts, refused)


def _open_writer(
    model: ModelSection, max_new_tokens: int, demonstrations: tuple[Demonstration, ...]
) -> tuple[StepWriter, dict[str, float], set[str]]:
    """The writer of a model, what is known of it, and the options that its server refuses, as they turn up."""
    if model.backend == "gold":
        return GoldWriter(), {}, set()
    if model.backend == "openai":
        from steper_core.lm_server import ServerModel

        server = ServerModel(
            model.model,
            base_url=model.base_url,
            endpoint=model.endpoint,
            concurrency=model.batch_size,
            max_new_tokens=max_new_tokens,
            temperature=model.temperature,
        )
        sizes = {"parameters_total": model.parameters, "parameters_active": model.active_parameters or model.parameters}
        facts = {name: float(size) for name, size in sizes.items() if size}
        return ModelWriter(server, demonstrations), facts, server.refused
    from steper_core.lm_local import LocalModel

    folder = resolve_model(model.model)
    local = LocalModel(
        folder,
        device=model.device,
        dtype=model.dtype,
        batch_size=model.batch_size,
        max_new_tokens=max_new_tokens,
        temperature=model.temperature,
    )
    writer = TaskWriter(local) if model.tasks else ModelWriter(local, demonstrations)
    return writer, model_facts(folder), set()


def as_student(model: ModelSection, folder: str, method: str) -> ModelSection:
    """The settings of a model with a checkpoint of a method in its place: no demonstrations, the method's prompts."""
    trained = {"model": folder, "demonstrations": 0, "backend": "local", "tasks": method == "multitask-kd"}
    return ModelSection.model_validate({**model.model_dump(), **trained})


def with_framework(reasoning: ReasoningSection, name: str) -> ReasoningSection:
    """The same settings under another framework."""
    return ReasoningSection.model_validate({**reasoning.model_dump(), "framework": name})
