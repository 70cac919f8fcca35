"""Which models can be trained along paths: those of which every layer attends to all tokens before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, Lfm2Config, MistralConfig, PreTrainedConfig, Qwen2Config

from steper_core.errors import UserError
from steper_core.path_attention import load_with_paths

SIZES: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Lfm2Config(**SIZES, layer_types=["conv", "full_attention"]), "layers of conv in place of full attention"),
        (MistralConfig(**SIZES, sliding_window=8), "the last 8 tokens alone"),
        (
            Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=8, max_window_layers=1),
            "layers of sliding_attention in place of full attention",
        ),
    ],
)
def test_a_model_that_reads_tokens_otherwise_is_refused(
    tiny_model: Path, tmp_path: Path, config: PreTrainedConfig, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        load_with_paths(saved(config, tiny_model, tmp_path))


@pytest.mark.parametrize("config", [MistralConfig(**SIZES, sliding_window=64), Qwen2Config(**SIZES, sliding_window=8)])
def test_a_window_that_is_not_used_or_never_reached_is_none(
    tiny_model: Path, tmp_path: Path, config: PreTrainedConfig
) -> None:
    assert load_with_paths(saved(config, tiny_model, tmp_path)).config.num_hidden_layers == 2


def saved(config: PreTrainedConfig, tiny_model: Path, folder: Path) -> Path:
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for file in tiny_model.glob("tokenizer*"):
        shutil.copy(file, folder)
    return folder
