"""Fixtures shared by all tests: tiny models, and a small world."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline import run_demo


def save_tiny_llama(folder: Path, *, hidden: int = 32, layers: int = 2, rows: int = 257, seed: int = 0) -> Path:
    """Save a Llama of random weights and a byte tokenizer, loadable by plain transformers; returns the folder.

    `rows` beyond 257 pad its matrices: the tokenizer knows no such tokens.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<end>": 0, **{letter: number for number, letter in enumerate(alphabet, start=1)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>").save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a student's base: two layers, 32 wide."""
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher unlike `tiny_model` in all but its tokenizer: wider, deeper, and padded."""
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "wide", hidden=48, layers=3, rows=320, seed=7)


@pytest.fixture(scope="session")
def foreign_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher whose tokenizer has another token in the place of "Q"."""
    folder = save_tiny_llama(tmp_path_factory.mktemp("models") / "foreign")
    text = (folder / "tokenizer.json").read_text()
    assert '"Q"' in text
    (folder / "tokenizer.json").write_text(text.replace('"Q"', '"Ωx"', 1))
    return folder


@pytest.fixture(scope="session")
def whole_demo(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An uninterrupted demo with the tiny model: its runs folder and what it printed."""
    runs = tmp_path_factory.mktemp("whole") / "runs"
    result = run_demo(runs, tiny_model)
    assert result.returncode == 0, result.stderr[-3000:]
    return runs, result.stdout
