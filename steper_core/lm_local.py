"""A local transformers model that continues prompts by one line: batched, length-sorted, on CPU or CUDA."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList

from steper_core.checkpoints import load_causal_model, load_tokenizer, opening_ids, require_checkpoint
from steper_core.devices import pick_device, pick_dtype, synchronize
from steper_core.errors import UserError
from steper_core.hush import hush_transformers
from steper_core.path_attention import require_full_attention
from steper_core.prefix_cache import Layers, PromptStore, common_length, lay_out, take_out
from steper_core.prompts import Prompt
from steper_core.writers import Completion

_WORTH_SHARING = 32
"""Fewest common prompt tokens for which keeping a shared prefix beats computing it again."""


class LocalModel:
    """Continues prompts with a causal language model; a line ends at the first token that holds a line break."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 16,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
    ) -> None:
        require_checkpoint(folder)
        hush_transformers()
        self._device = pick_device(device)
        self._tokenizer = load_tokenizer(folder)
        self._model = load_causal_model(folder, pick_dtype(dtype, self._device)).to(self._device).eval()
        require_full_attention(self._model, folder, "let a server of your own run it (backend=openai)")
        self._stop_ids = _stop_ids(self._tokenizer, self._model.generation_config.eos_token_id)
        self._opening = opening_ids(self._tokenizer)
        # Else generate takes up what the model's makers set for chatting, such as a penalty on words of the prompt.
        self._model.generation_config = type(self._model.generation_config)()
        self._batch_size = batch_size
        self._max_new_tokens = max_new_tokens
        self._temperature = temperature
        self._context = int(self._model.config.max_position_embeddings)
        self._pad_id = self._stop_ids[0]
        self._shared: tuple[list[int], Layers] = ([], [])
        self._store = PromptStore()

    def complete(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Completion]:
        """One line a prompt; a prompt that leaves no room for a line in the context is reported, not cut."""
        aside = any(prompt.aside for prompt in prompts)
        first_step = not aside and not any("\n" in prompt.lines for prompt in prompts)
        encoded = [self._encode(prompt) for prompt in prompts]
        results: dict[int, Completion] = {
            place: Completion("", 0, 0, 0.0, problem="too_long")
            for place, ids in enumerate(encoded)
            if len(ids) + self._max_new_tokens > self._context
        }
        order = sorted((place for place in range(len(encoded)) if place not in results), key=lambda i: len(encoded[i]))
        shared = self._share([encoded[place] for place in order], first_step)
        found = {place: self._store.longest(encoded[place], len(self._shared[0])) for place in order}
        if not aside:  # after which the chains go on from the step before
            self._store.clear()
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            rows, reused = [encoded[i] for i in places], [found.pop(i) for i in places]
            try:
                batch = self._generate(rows, reused, shared, [seeds[i] for i in places])
            except torch.OutOfMemoryError as error:
                raise UserError(
                    f"the GPU's memory does not hold {len(rows)} prompts at once: lower the model's batch_size "
                    "(student.batch_size, teacher.batch_size) and repeat the command to go on"
                ) from error
            results.update(zip(places, batch, strict=True))
        return [results[place] for place in range(len(encoded))]

    def _encode(self, prompt: Prompt) -> list[int]:
        return self._opening + self._ids(prompt.context) + (self._ids(prompt.lines) if prompt.lines else [])

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    @torch.inference_mode()
    def _generate(
        self, rows: list[list[int]], reused: list[tuple[Layers, int]], shared: Layers, seeds: list[int]
    ) -> list[Completion]:
        started = time.perf_counter()
        batch = lay_out(rows, shared, reused, self._pad_id)
        noise = LogitsProcessorList([_GumbelNoise(seeds, self._temperature)] if self._temperature > 0 else [])
        output = self._model.generate(
            input_ids=torch.tensor(batch.ids, device=self._device),
            attention_mask=torch.tensor(batch.mask, device=self._device),
            past_key_values=batch.cache,
            max_new_tokens=self._max_new_tokens,
            do_sample=False,
            eos_token_id=self._stop_ids,
            pad_token_id=self._pad_id,
            logits_processor=noise,
        )[:, len(batch.ids[0]) :].tolist()
        synchronize(self._device)
        for prompt in take_out(batch.cache, batch.mask, rows, len(self._shared[0])):
            self._store.add(prompt)
        seconds = (time.perf_counter() - started) / len(rows)
        return [self._completion(len(row), new, seconds) for row, new in zip(rows, output, strict=True)]

    def _completion(self, prompt_tokens: int, new: list[int], seconds: float) -> Completion:
        stops = set(self._stop_ids)
        length = next((place for place, token in enumerate(new) if token in stops), len(new))
        # The stopping token may carry text before its line break; the break itself ends the line.
        kept = new[: length + 1]
        text = self._tokenizer.decode(kept, skip_special_tokens=True).split("\n", 1)[0]
        return Completion(text, prompt_tokens, len(kept), seconds, cut=length == len(new))

    @torch.inference_mode()
    def _share(self, rows: list[list[int]], first_step: bool) -> Layers:
        """Keys and values of the tokens that all rows begin with (demonstrations), computed once and kept.

        At a first step what is kept belongs to other chains: all is chosen anew, lest an interruption before it decide
        how numbers are rounded.
        """
        prefix = self._shared[0]
        fits = all(row[: len(prefix)] == prefix and len(row) > len(prefix) for row in rows)
        if first_step or not prefix or not fits:
            prefix = rows[0][: _common_prefix(rows)] if rows else []
        if first_step or self._shared[0] != prefix:
            self._store.clear()
        if self._shared[0] != prefix:
            cache: Any = DynamicCache()
            if prefix:
                self._model(torch.tensor([prefix], device=self._device), past_key_values=cache, logits_to_keep=1)
            self._shared = (prefix, [(layer.keys[0], layer.values[0]) for layer in cache.layers])
        return self._shared[1]


class _GumbelNoise(LogitsProcessor):
    """Turns greedy decoding into exact sampling: the largest of logits / temperature + Gumbel noise is a sample.

    Each row draws from its own generator, so a row's text does not depend on the batch it is in.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        uniform = torch.stack([torch.rand(scores.shape[-1], generator=generator) for generator in self._generators])
        noise = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return scores / self._temperature + noise.to(scores.device)


def _common_prefix(rows: list[list[int]]) -> int:
    """Length of the prefix that all rows share, short of a whole row; 0 if it is not worth keeping."""
    if len(rows) < 2:
        return 0
    length = common_length(min(rows), max(rows))
    length = min(length, min(len(row) for row in rows) - 1)
    return length if length >= _WORTH_SHARING else 0


def _stop_ids(tokenizer: Any, declared: int | list[int] | None) -> list[int]:
    """The tokenizer's end token, those that the model's makers `declared` beside it, and what holds a line break."""
    ends = [tokenizer.eos_token_id, *(declared if isinstance(declared, list) else [declared])]
    ids = range(len(tokenizer))
    broken = [place for place, text in enumerate(tokenizer.batch_decode([[i] for i in ids])) if "\n" in text]
    return [*dict.fromkeys(place for place in (*ends, *broken) if place is not None)]
