"""Recipes: frozen settings read from TOML, with typed overrides from the command line.

A recipe is one TOML file with the sections below. Whatever it leaves out has the default given here; an unknown key is
an error that names the nearest right one. Every run stores the sections it used, so it can be repeated from its folder.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from steper_core.builtin_files import BuiltinFiles
from steper_core.errors import UserError
from steper_core.worlds import WorldConfig

RECIPES = BuiltinFiles("recipe", "steper_core", "recipes")

Method = Literal["answer-kd", "logit-kd", "feature-kd", "multitask-kd", "vanilla-kd", "steper"]
AbilityName = Literal["initialization", "expansion", "aggregation"]
Divergence = Literal["forward-kl", "reverse-kl", "jensen-shannon"]
_SHOWN = 100
"""Characters of a wrong value that a message repeats."""
_LARGEST = 2**31 - 1
"""What libraries below take for a size; beyond it they fail in ways of their own."""
Count = Annotated[int, Field(ge=1, le=_LARGEST)]
CountOrNone = Annotated[int, Field(ge=0, le=_LARGEST)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What numpy takes for a seed."""
Rate = Annotated[float, Field(gt=0, le=1e3)]
Weight = Annotated[float, Field(ge=0)]
FrameworkName = Literal["ircot", "rag", "closed-book"]
_OWN_LOSS = {"logit-kd": "logits", "feature-kd": "features"}
"""Methods that are nothing without their loss."""
_ALL_ABILITIES: tuple[AbilityName, ...] = ("initialization", "expansion", "aggregation")


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys and infinite numbers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSection(Section):
    """Where questions and passages come from. Without any path the generated world of [worlds] is used."""

    paths: tuple[str, ...] = Field((), description="files, folders or hub:OWNER/NAME:CONFIG:SPLIT")
    train: tuple[str, ...] = Field((), description="training files, where their names do not tell")
    evaluation: tuple[str, ...] = Field((), description="evaluation files, where their names do not tell")
    corpus: tuple[str, ...] = Field((), description="JSONL of {id?, title, text}; default: labelled passages")
    train_questions: Count | None = Field(None, description="at most so many (a seeded sample); default: all")
    held_out_questions: CountOrNone = Field(20, description="taken from the training questions to pick the checkpoint")
    evaluation_questions: Count | None = Field(None, description="at most so many; default: all")


class RetrievalSection(Section):
    """BM25 over title and text. `k1` and `b` are BM25's parameters (Lucene's variant)."""

    top_k: Count = Field(4, description="passages a step (K in the paper)")
    refill: bool = Field(
        True,
        # Where it is the default it is not written down: earlier runs knew nothing else.
        exclude_if=bool,
        description="the next best in place of passages retrieved before; false: fewer new ones (IRCoT, the paper)",
    )
    k1: float = Field(1.5, gt=0)
    b: float = Field(0.75, ge=0, le=1)


class ReasoningSection(Section):
    """How steps are driven."""

    framework: FrameworkName = "ircot"
    max_steps: Count = Field(5, description="S in the paper; the last step is forced to answer")
    window: Count = Field(32, description="chains that advance in lockstep")
    max_new_tokens: Count = Field(64, description="longest line")


class ModelSection(Section):
    """A writer of steps. `model` is a folder, a hub name, or what the server calls its model."""

    backend: Literal["local", "openai", "gold"] = "local"
    model: str = "SmolLM2-135M-Instruct"
    demonstrations: CountOrNone = Field(3, description="worked examples in the prompt of an untrained model")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    batch_size: Count = Field(16, description="prompts a forward (local), or requests at once (openai)")
    temperature: float = Field(0.0, ge=0, description="0: greedy; above: sampled with the run's seed")
    base_url: str | None = Field(None, description="of an OpenAI-compatible server; the key comes from OPENAI_API_KEY")
    endpoint: Literal["chat", "completions"] = "chat"
    tasks: bool = Field(False, description="a student of multitask-kd: reasons, then answers by a prompt of its own")
    parameters: int | None = Field(None, ge=1, le=10**18, description="of a server's model, to compare cost by")
    active_parameters: int | None = Field(
        None, ge=1, le=10**18, description="the same for a mixture of experts: those of a token"
    )

    @model_validator(mode="before")
    @classmethod
    def _gold_is_no_model(cls, values: Any) -> Any:
        return {**values, "model": "gold"} if isinstance(values, dict) and values.get("backend") == "gold" else values

    @field_validator("base_url")
    @classmethod
    def _holds_no_secret(cls, url: str | None) -> str | None:
        # Settings are stored with every run.
        if url is not None and ("@" in url or "?" in url):
            raise ValueError(
                "an address with a password or a query would be stored with the run: "
                "set OPENAI_BASE_URL (and OPENAI_API_KEY) in the environment instead"
            )
        return url


class CollectSection(Section):
    """Which of the teacher's chains are kept."""

    answer_filter: Literal["em", "f1", "contains"] = "em"
    min_f1: float = Field(0.5, ge=0, le=1, description="for answer_filter = f1: keep at or above")
    gold_passage_filter: bool = Field(False, description="keep only if each step's gold passage was retrieved by then")


class LogitSection(Section):
    """For loss = logits: how a student follows the teacher's distribution over the next token."""

    divergence: Divergence = "forward-kl"
    temperature: float = Field(2.0, gt=0, le=1e3, description="of both distributions")
    mix: float = Field(0.5, ge=0, le=1, description="share of the distribution; the rest is the teacher's tokens")
    stored: str | None = Field(None, description="folder of `steper soft-targets`; default: the teacher runs along")


class FeatureSection(Section):
    """For loss = features: which hidden states a student follows, through learned projections."""

    layers: tuple[tuple[int, int], ...] = Field(
        ((-1, -1),), min_length=1, description="pairs of student's and teacher's layer; 0: embeddings, -1: the last"
    )
    distance: Literal["cosine", "squared"] = "cosine"
    mix: float = Field(0.5, ge=0, le=1, description="share of the hidden states; the rest is the teacher's tokens")
    learning_rate: Rate = Field(1e-3, description="of the projections")


class TrainSection(Section):
    """How a student learns. Defaults follow the paper where it states them, and suit a 135M student where not."""

    method: Method = "steper"
    loss: Literal["cross-entropy", "logits", "features"] = Field(
        "cross-entropy", description="of a target token; default by method: logit-kd logits, feature-kd features"
    )
    abilities: tuple[AbilityName, ...] = Field(
        _ALL_ABILITIES, min_length=1, description="of steper: which steps are learned"
    )
    expansion_steps: Count | None = Field(
        None, description="of steper: a chain's first so many are learned; default: all"
    )
    weighting: Literal["uniform", "fixed", "learned"] = Field(
        "uniform", description="of the tasks' losses; default by method: steper learned, all others uniform"
    )
    weights: tuple[Weight, ...] = Field(
        (), description="for weighting = fixed: one a task (abilities of steper; rationale, answer of multitask-kd)"
    )
    teacher: str | None = Field(
        None, description="model whose logits or hidden states are followed; default: the recipe's local teacher"
    )
    logits: LogitSection = LogitSection()
    features: FeatureSection = FeatureSection()
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="one run a seed")
    epochs: Count = 2
    learning_rate: Rate = 5e-5
    sigma_learning_rate: Rate = 1e-2
    warmup_share: float = Field(0.1, ge=0, le=1, description="share of the steps with rising learning rate")
    weight_decay: float = Field(0.0, ge=0, le=1e3)
    max_grad_norm: float = Field(1.0, gt=0)
    batch_chains: Count = Field(4, description="chains a batch on each device")
    accumulation_steps: Count = Field(1, description="batches an optimizer step")
    forward_tokens: Count = Field(2048, description="tokens a forward; larger batches are split exactly")
    packing: bool = Field(True, description="steps of a chain share a row; false: a row an example, for comparison")
    max_length: int = Field(
        1024, ge=16, le=_LARGEST, description="tokens of an example; longer ones lose their oldest passages"
    )
    lora_rank: int = Field(0, ge=0, le=4096, description="of adapters on all linear layers; 0: all weights are trained")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoints_per_epoch: Count = Field(1, description="how often to save and to measure on held-out questions")
    keep_checkpoints: Count = Field(2, description="how many are kept in all: the best one and the newest")
    gradient_checkpointing: bool = Field(False, description="compute activations again instead of keeping them")
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = Field(
        (), description="also told each step's figures"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_method(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        # Nothing is validated yet: both may be of any type.
        method, abilities = values.get("method", "steper"), values.get("abilities", _ALL_ABILITIES)
        several = method == "steper" and not (isinstance(abilities, list | tuple) and len(abilities) == 1)
        loss = _OWN_LOSS.get(str(method), "cross-entropy")
        return {"weighting": "learned" if several else "uniform", "loss": loss, **values}

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSection:
        tasks = self.task_count
        if tasks == 1 and self.weighting != "uniform":
            raise ValueError(f"{self.method} has one task here, so there is nothing to weight: set weighting=uniform")
        if self.weights and self.weighting != "fixed":
            raise ValueError(f"train.weights are those of weighting = fixed, and weighting is {self.weighting}")
        if self.weighting == "fixed" and len(self.weights) != tasks:
            raise ValueError(f"weighting = fixed needs as many weights as tasks: {tasks}, not {len(self.weights)}")
        if len(set(self.abilities)) < len(self.abilities):
            raise ValueError("an ability stands twice in train.abilities")
        if self.method != "steper" and set(self.abilities) != set(_ALL_ABILITIES):
            raise ValueError(f"{self.method} does not learn by ability: leave train.abilities out, or take steper")
        if self.expansion_steps and (self.method != "steper" or "expansion" not in self.abilities):
            raise ValueError("train.expansion_steps counts the expansion steps of steper, and none are learned here")
        own = _OWN_LOSS.get(self.method, self.loss)
        if self.loss != own:
            raise ValueError(f"{self.method} has loss = {own}: leave loss out, or take another method")
        return self

    @property
    def stored_logits(self) -> str | None:
        """The folder of log-probabilities that are followed in place of a teacher that runs along."""
        return self.logits.stored if self.loss == "logits" else None

    @property
    def task_count(self) -> int:
        """Tasks with a loss of their own."""
        return {"steper": len(self.abilities), "multitask-kd": 2}.get(self.method, 1)


class Recipe(Section):
    """All settings of a piece of work. `name` begins the names of its runs."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: Seed = 0
    data: DataSection = DataSection()
    worlds: WorldConfig = WorldConfig()
    retrieval: RetrievalSection = RetrievalSection()
    reasoning: ReasoningSection = ReasoningSection()
    teacher: ModelSection = ModelSection(backend="gold", model="gold")
    student: ModelSection = ModelSection()
    collect: CollectSection = CollectSection()
    train: TrainSection = TrainSection()

    @model_validator(mode="before")
    @classmethod
    def _teacher_is_gold_until_named(cls, values: Any) -> Any:
        teacher = values.get("teacher") if isinstance(values, dict) else None
        if not isinstance(teacher, dict) or {"backend", "model"} & teacher.keys():
            return values
        return {**values, "teacher": {"backend": "gold", **teacher}}

    @model_validator(mode="after")
    def _models_are_named(self) -> Recipe:
        if self.student.backend != "local":
            raise ValueError("student.backend must be 'local': a student is trained here")
        if self.teacher.backend == "openai" and "model" not in self.teacher.model_fields_set:
            raise ValueError("teacher.backend = openai needs teacher.model: what the server calls its model")
        return self


def load_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe by the name of a built-in one or by path, and apply overrides like `train.epochs=3`.

    Raises:
        UserError: no such recipe, no TOML, an unknown key (with the nearest right one) or a value of the wrong type.
    """
    source, text = RECIPES.read(name)
    values = parse_toml(source, text)
    for override in overrides:
        _apply(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {_explain(error)}") from error


def parse_toml(source: str, text: str) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        UserError: no TOML, an integer of thousands of digits, or values nested hundreds of levels deep.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UserError(f"{source}: a value is nested too deeply to be read; write it flatter") from error
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"{override!r} is no override; write section.key=value, for example train.epochs=3")
    *sections, last = key.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{override!r}: {section!r} is a value, not a section")
    values[last] = _parse_value(text.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _explain(error: ValidationError) -> str:
    fault = error.errors()[0]
    path = [str(part) for part in fault["loc"]]
    field = ".".join(path)
    if fault["type"] != "extra_forbidden":
        words = fault["msg"].removeprefix("Value error, ")
        if path[-1:] == ["base_url"]:
            return f"{field}: {words}"
        return f"{field}: {words} (got {_shown(fault['input'])})" if field else words
    nearest = _nearest(path)
    return f"unknown key {field!r}" + (f"; did you mean {nearest!r}?" if nearest else "")


def _nearest(path: list[str]) -> str | None:
    """The key that was probably meant by an unknown one; what is like it in its own section comes before all else."""
    *sections, name = path
    prefix = ".".join([*sections, ""])
    keys = sorted(_keys(Recipe), key=lambda key: key.count("."))
    below = [key for key in keys if key.startswith(prefix)]
    beside = [key for key in below if key.count(".") == len(sections)]
    # A section below may have the very name, while the nearest name beside it is a chance likeness.
    for among, likeness in ((below, 1.0), (beside, 0.6), (keys, 1.0), (beside, 0.5), (keys, 0.6)):
        named = {key.rpartition(".")[2]: key for key in reversed(among)}
        if near := difflib.get_close_matches(name, named, n=1, cutoff=likeness):
            return named[near[0]]
    return None


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
