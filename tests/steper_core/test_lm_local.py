"""A local model: the same lines whatever the batch, one line a prompt, and samples that only their seed decides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steper_core.errors import UserError
from steper_core.lm_local import LocalModel, _GumbelNoise
from steper_core.prompts import Prompt, build_prompt
from steper_core.records import Passage
from steper_core.writers import Completion

CONTEXT = 600
LONG = Passage.of("A shared passage", "It is long enough to be worth keeping.")
OTHER = Passage.of("Another passage", "It begins with other words than the first one does.")
WORDS = ("amber", "birch", "canal", "delta", "ember")
SHARING = [build_prompt(word * (number + 1), [LONG], [word] * number) for number, word in enumerate(WORDS)]
MIXED = [build_prompt(f"{word}?", [Passage.of(word, word * number)]) for number, word in enumerate(WORDS, start=1)]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, the more so when the machine has other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_folder_is_a_users_error(tiny_model: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:20])
    with pytest.raises(UserError, match=f"{folder} cannot be loaded: it is damaged"):
        LocalModel(folder, device="cpu")


def test_what_makers_set_for_chatting_changes_no_line(sharp_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(sharp_model, folder)
    chatting = {"do_sample": True, "repetition_penalty": 5.0, "no_repeat_ngram_size": 2, "top_k": 3}
    (folder / "generation_config.json").write_text(json.dumps(chatting))
    plain, other = (
        LocalModel(each, device="cpu", dtype="float32", max_new_tokens=12) for each in (sharp_model, folder)
    )
    seeds = [0] * len(SHARING)
    assert [line.text for line in other.complete(SHARING, seeds)] == [
        line.text for line in plain.complete(SHARING, seeds)
    ]


@pytest.fixture(scope="module")
def sharp_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger weights, so that what it writes depends on every token before, and a short context."""
    folder = tmp_path_factory.mktemp("models") / "sharp"
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "proj" in name:
                weight.mul_(12)
    model.config.max_position_embeddings = CONTEXT
    model.save_pretrained(folder)
    for file in tiny_model.glob("tokenizer*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def scripted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose next token follows from the last alone: "?" a " Tiv.", "!" "ok" and the end, "#" a line break.

    Its tokenizer has a token that holds a full stop and a line break. After a line break it writes "x" for ever.
    """
    folder = tmp_path_factory.mktemp("models") / "scripted"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<end>": 0, **{letter: number for number, letter in enumerate(alphabet, start=1)}, ".Ċ": 257}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[(".", "Ċ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>").save_pretrained(folder)
    follows = ["?Ġ", "ĠT", "Ti", "iv", ("v", ".Ċ"), (".Ċ", "x"), "xx", "!o", "ok", ("k", "<end>"), "#Ċ", "Ċx", "zz"]
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        max_position_embeddings=64,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.model.norm.weight.fill_(1)
        for place, (before, after) in enumerate(follows):
            model.model.embed_tokens.weight[vocabulary[before], place] = 1
            model.lm_head.weight[vocabulary[after], place] = 1
    model.save_pretrained(folder)
    return folder


def opened(folder: Path, *, batch_size: int = 16, max_new_tokens: int = 8, temperature: float = 0.0) -> LocalModel:
    return LocalModel(
        folder,
        device="cpu",
        dtype="float32",
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
    )


def lines(model: LocalModel, prompts: list[Prompt], seeds: list[int] | None = None) -> list[tuple[str, int, int]]:
    found = model.complete(prompts, seeds or [0] * len(prompts))
    assert all(completion.problem is None and completion.seconds > 0 for completion in found)
    return [(each.text, each.prompt_tokens, each.output_tokens) for each in found]


def one_by_one(model: LocalModel, prompts: list[Prompt], seeds: list[int] | None = None) -> list[tuple[str, int, int]]:
    """The lines of prompts that share no forward."""
    return [
        lines(model, [prompt], [seed])[0] for prompt, seed in zip(prompts, seeds or [0] * len(prompts), strict=True)
    ]


@pytest.mark.parametrize("declared", [[0, 76], 76])
def test_a_line_ends_at_any_end_that_its_makers_declare(
    scripted_model: Path, tmp_path: Path, declared: int | list[int]
) -> None:
    folder = shutil.copytree(scripted_model, tmp_path / "model")
    k = opened(folder)._ids("k")
    declared = [*declared[:1], *k] if isinstance(declared, list) else k[0]
    assert lines(opened(folder), [Prompt("!")]) == [("ok", 1, 3)]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": declared}))
    assert lines(opened(folder), [Prompt("!")]) == [("ok", 1, 2)]


def test_a_model_finds_the_token_that_opens_every_text(scripted_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scripted_model, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    (z,) = tokenizer("z").input_ids
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("z $A", special_tokens=[("z", z)])
    tokenizer.bos_token = "z"
    tokenizer.save_pretrained(folder)
    assert opened(folder)._encode(Prompt("!", "x\n"))[0] == z
    assert lines(opened(folder), [Prompt("!")]) == [("ok", 2, 3)]


def test_a_model_that_reads_tokens_otherwise_is_left_to_a_server(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mistral", "sliding_window": 8}))
    with pytest.raises(UserError, match=r"the last 8 tokens alone .*backend=openai"):
        opened(folder)


def test_greedy_lines_depend_on_the_prompt_and_not_on_the_batch(sharp_model: Path) -> None:
    alone = one_by_one(opened(sharp_model), MIXED)
    assert len({text for text, _, _ in alone}) == len(MIXED)
    for batch_size in (3, 16):
        assert lines(opened(sharp_model, batch_size=batch_size), MIXED) == alone


def test_greedy_lines_repeat_whatever_the_seeds(sharp_model: Path) -> None:
    model = opened(sharp_model)
    assert lines(model, MIXED, list(range(5))) == lines(model, MIXED, list(range(5, 10)))


def test_a_shared_prefix_changes_no_line(sharp_model: Path) -> None:
    alone = one_by_one(opened(sharp_model), SHARING)
    assert len({text for text, _, _ in alone}) == len(SHARING)
    model = opened(sharp_model, batch_size=3)
    assert lines(model, SHARING) == alone
    assert len(model._shared[0]) >= len(f"Passage: {LONG.title}\n{LONG.text}\n\nQuestion: ")


def test_a_kept_prefix_is_used_for_its_own_prompts_only(sharp_model: Path) -> None:
    others = [build_prompt(word, [OTHER]) for word in WORDS]
    alone = one_by_one(opened(sharp_model), others)
    model = opened(sharp_model)
    first = lines(model, SHARING)
    assert lines(model, others) == alone
    assert lines(model, SHARING) == first == lines(model, SHARING)


def next_step(prompts: list[Prompt], done: list[tuple[str, int, int]], number: int) -> list[Prompt]:
    """The prompts of the next step: the lines just written, and one more passage for each chain but the first."""
    shown = [
        [LONG, *[Passage.of(f"More {place}", "Text. " * place)] * (place > 0) * number] for place in range(len(done))
    ]
    lines = [(*prompt.lines.splitlines(), text) for prompt, (text, _, _) in zip(prompts, done, strict=True)]
    return [build_prompt(WORDS[place], shown[place], lines[place]) for place in range(len(done))]


def test_a_step_that_reuses_the_last_writes_what_it_would_write_alone(sharp_model: Path) -> None:
    model = opened(sharp_model, batch_size=3)
    prompts = [build_prompt(word, [LONG]) for word in WORDS]
    done = lines(model, prompts)
    for number in (1, 2, 3):
        prompts = next_step(prompts, done, number)
        encoded = [model._encode(prompt) for prompt in prompts]
        reused = [model._store.longest(ids, len(model._shared[0]))[1] for ids in encoded]
        done = lines(model, prompts)
        assert done == one_by_one(opened(sharp_model), prompts)
        assert min(reused) > 0 or number == 1
        # Chains end at different steps: the batch shrinks.
        prompts, done = prompts[:-1], done[:-1]


def test_a_new_first_step_forgets_the_chains_before(sharp_model: Path) -> None:
    model = opened(sharp_model)
    lines(model, SHARING)
    first = [build_prompt(word, [LONG]) for word in WORDS]
    encoded = [model._encode(prompt) for prompt in first]
    model._share(encoded, first_step=True)
    assert all(model._store.longest(ids, 0) == ([], 0) for ids in encoded)


def test_what_is_asked_between_two_steps_leaves_what_is_kept_of_them(sharp_model: Path) -> None:
    model = opened(sharp_model, batch_size=3)
    prompts = [build_prompt(word, [LONG]) for word in WORDS]
    prompts = next_step(prompts, lines(model, prompts), 1)
    done = lines(model, prompts)
    ending = [build_prompt(WORDS[0], [LONG], force_answer=True, task="answer")]
    assert lines(model, ending) == one_by_one(opened(sharp_model), ending)
    after = next_step(prompts, done, 2)
    kept = [model._store.longest(model._encode(prompt), len(model._shared[0]))[1] for prompt in after]
    assert min(kept) > 0
    assert lines(model, after) == one_by_one(opened(sharp_model), after)


def test_equal_prompts_get_equal_lines(sharp_model: Path) -> None:
    model = opened(sharp_model)
    assert len(set(lines(model, [SHARING[0]] * 3 + [SHARING[0]]))) == 1


def test_a_line_ends_at_its_line_break_with_the_text_before_it(scripted_model: Path) -> None:
    model = opened(scripted_model)
    # One token a letter of " Tiv" and one for the full stop with the line break.
    assert lines(model, [Prompt("?")]) == [(" Tiv.", 1, 5)]
    assert lines(model, [Prompt("#")]) == [("", 1, 1)]


def test_a_line_ends_at_the_end_of_sequence(scripted_model: Path) -> None:
    assert lines(opened(scripted_model), [Prompt("a", "b!")]) == [("ok", 3, 3)]


def test_a_line_without_an_end_stops_at_the_most_tokens(scripted_model: Path) -> None:
    model = opened(scripted_model, max_new_tokens=7)
    assert lines(model, [Prompt("z")]) == [("zzzzzzz", 1, 7)]
    assert [found.cut for found in model.complete([Prompt("z"), Prompt("!")], [0, 0])] == [True, False]


def test_lines_of_one_batch_end_each_at_its_own_place(scripted_model: Path) -> None:
    prompts = [Prompt("z"), Prompt("a" * 40 + "!"), Prompt("?"), Prompt("a" * 40, "#")]
    expected = [("z" * 6, 1, 6), ("ok", 41, 3), (" Tiv.", 1, 5), ("", 41, 1)]
    assert lines(opened(scripted_model, max_new_tokens=6), prompts) == expected


def test_context_and_lines_are_tokenised_apart(scripted_model: Path) -> None:
    # Together ".\n" is one token; apart it is two.
    assert [tokens for _, tokens, _ in lines(opened(scripted_model), [Prompt(".\n"), Prompt(".", "\n")])] == [1, 2]


def test_a_prompt_that_leaves_no_room_is_reported_and_not_cut(scripted_model: Path) -> None:
    model = opened(scripted_model, max_new_tokens=6)
    fits, too_long = Prompt("a" * 57 + "?"), Prompt("a" * 58 + "?")
    found = model.complete([too_long, fits, too_long], [0, 0, 0])
    assert found[0] == found[2] == Completion("", 0, 0, 0.0, problem="too_long")
    assert (found[1].text, found[1].prompt_tokens, found[1].problem) == (" Tiv.", 58, None)
    assert model.complete([too_long], [0])[0].problem == "too_long"


def test_no_prompt_gives_no_line(scripted_model: Path) -> None:
    assert opened(scripted_model).complete([], []) == []


def test_samples_repeat_with_their_seed_and_differ_between_seeds(sharp_model: Path) -> None:
    model = opened(sharp_model, temperature=1.0)
    prompts = [MIXED[0]] * 5
    first = lines(model, prompts, [1, 2, 3, 4, 1])
    assert first == lines(model, prompts, [1, 2, 3, 4, 1])
    assert first[0] == first[4]
    assert len(set(first)) == 4


def test_a_sample_does_not_depend_on_its_batch(sharp_model: Path) -> None:
    seeds = [2**62 + number for number in range(len(MIXED))]
    alone = one_by_one(opened(sharp_model, temperature=1.0), MIXED, seeds)
    for batch_size in (3, 16):
        assert lines(opened(sharp_model, batch_size=batch_size, temperature=1.0), MIXED, seeds) == alone
    backwards = lines(opened(sharp_model, temperature=1.0), MIXED[::-1], seeds[::-1])
    assert backwards[::-1] == alone


def test_a_low_temperature_comes_close_to_greedy(sharp_model: Path) -> None:
    cold = opened(sharp_model, temperature=1e-6)
    assert lines(cold, MIXED, list(range(5))) == lines(opened(sharp_model), MIXED)


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, [0.6, 0.3, 0.1]), (2.0, [0.473, 0.334, 0.193])])
def test_sampling_follows_the_models_probabilities(temperature: float, expected: list[float]) -> None:
    # At temperature 2 the shares are the square roots of 0.6, 0.3 and 0.1 over their sum.
    count = 4000
    noise = _GumbelNoise(list(range(count)), temperature)
    scores = torch.tensor([0.6, 0.3, 0.1, 0.0]).log().repeat(count, 1)
    drawn = torch.bincount(noise(torch.zeros(count, 1), scores).argmax(-1), minlength=4) / count
    # Three standard errors of a share of 4,000 are at most 0.024.
    assert drawn.tolist() == pytest.approx([*expected, 0.0], abs=0.024)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint folder"):
        LocalModel(tmp_path)


def test_an_unknown_device_is_an_error(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="unknown device 'abacus'"):
        LocalModel(tiny_model, device="abacus")
