"""Training on step examples: step-tree packing against TRL's trainers on the same examples, side by side.

    pip install --constraint constraints.txt trl
    python benchmarks/training.py [--steps 5] [--top-k 4] [--chains 3] [--batch 1] [--model random] [--loss logits]

Each contender trains a copy of the same model in a process of its own, in one number format, on the same tokens: S
examples a chain, K passages of 100 tokens a step, cumulative targets. TRL's SFTTrainer has completion-only labels and
its best settings, a row an example without pads and best-fit packing. With --loss logits a teacher of the same model
runs along, forward KL alone at temperature 1, and TRL's trainer is GKD's, off-policy. Seconds are those of the
trainer's steps without the first; memory is the process' peak (on a GPU: the allocator's). Prints a table and ratios;
nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

from steper_core.environment import describe_environment

PASSAGE, QUESTION, LINE, ANSWER = 100, 20, 25, 12
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16, as their makers state them."""


def main() -> None:
    """Measure each contender in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="SmolLM2-135M-Instruct", help="or random: that shape where its weights cannot be brought"
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--chains", type=int, default=3, help="chains that are timed, after one that warms up")
    parser.add_argument("--batch", type=int, default=1, help="chains a batch")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--loss", choices=CONTENDERS, default="cross-entropy")
    parser.add_argument("--contender", help="measure this one alone, here, and print JSON")
    options = parser.parse_args()
    contenders = CONTENDERS[options.loss]
    if options.contender:
        if options.contender not in contenders:
            parser.error(f"--contender with --loss {options.loss} is one of: {'; '.join(contenders)}")
        print(json.dumps(contenders[options.contender](options)))
        return
    here = [name for name in contenders if "TRL" not in name or util.find_spec("trl")]
    if len(here) < len(contenders):
        print("trl is not installed: without it there is nothing to compare with\n")
    found = {name: _measured(name, options) for name in here}
    versions, hardware, _ = describe_environment()
    print(f"{hardware}; torch {versions['torch']}, transformers {versions['transformers']}")
    shape = f"S = {options.steps}, K = {options.top_k}, {options.chains} chains timed, {options.batch} a batch"
    print(f"{shape}, {options.dtype}, loss {options.loss}\n")
    ours = found["steper"]
    print("| contender | tokens a chain | seconds a chain | times as long | peak memory | model FLOPs utilisation |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, each in found.items():
        use = f"{each['utilisation']:.1%}" if each.get("utilisation") else "–"
        print(
            f"| {name} | {each['tokens']:,.0f} | {each['seconds']:.2f} | {each['seconds'] / ours['seconds']:.1f} "
            f"| {each['memory'] / 2**30:.1f} GiB | {use} |"
        )


def _measured(name: str, options: argparse.Namespace) -> dict[str, float]:
    own = [sys.executable, __file__, "--contender", name, *sys.argv[1:]]
    done = subprocess.run(own, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def examples_of(chain: int, steps: int, top_k: int) -> list[tuple[list[int], list[int]]]:
    """(prompt, target) of each step of a chain: its passages so far and the question, its lines so far."""
    drawn = random.Random(chain)

    def tokens(count: int) -> list[int]:
        return [drawn.randrange(100, 20_000) for _ in range(count)]

    passages = [tokens(PASSAGE) for _ in range(steps * top_k)]
    question = tokens(QUESTION)
    lines = [*(tokens(LINE) for _ in range(steps - 1)), tokens(ANSWER)]
    found = []
    for step in range(1, steps + 1):
        prompt = [token for passage in passages[: step * top_k] for token in passage] + question
        found.append((prompt, [token for line in lines[:step] for token in line]))
    return found


def ours(options: argparse.Namespace, *, packed: bool = True) -> dict[str, float]:
    """Step-tree packing, or with `packed` false our own trainer with a row an example."""
    from steper_core.config import LogitSection, TrainSection
    from steper_core.examples import ChainRows
    from steper_core.packing import TokenExample, pack
    from steper_core.run_records import RunKind
    from steper_core.rundir import open_run
    from steper_core.training import Models, train_student

    chains = []
    for number in range(options.chains + options.batch):
        tasks = ([0, *[1] * (options.steps - 2)] if options.steps > 1 else []) + [2]
        examples = [
            TokenExample(prompt, target, task)
            for (prompt, target), task in zip(examples_of(number, options.steps, options.top_k), tasks, strict=True)
        ]
        rows = (pack(examples),) if packed else tuple(pack([example]) for example in examples)
        chains.append(ChainRows(f"q{number}", rows))
    clock = _Clock()
    settings = TrainSection(
        epochs=1,
        batch_chains=options.batch,
        dtype=options.dtype,
        warmup_share=0.0,
        forward_tokens=1,
        loss=options.loss,
        logits=LogitSection(temperature=1.0, mix=1.0),
    )
    base = _model(options)
    teacher = base if options.loss == "logits" else None
    with (
        tempfile.TemporaryDirectory() as folder,
        open_run(Path(folder) / "run", kind=RunKind.TRAIN, config={}, dataset="", model="") as run,
    ):
        train_student(
            Models(base, str(base), teacher, str(base)), chains, [], settings, seed=0, run=run, on_progress=clock.tick
        )
    tokens = sum(len(row) for chain in chains for row in chain.rows) / len(chains)
    return _figures(clock, options, tokens, base)


def sft(options: argparse.Namespace, *, packing: bool) -> dict[str, float]:
    """TRL's SFTTrainer: a row an example, or examples packed into rows as long as the longest."""
    from trl import SFTConfig, SFTTrainer

    base, rows, clock = _model(options), _trl_rows(options), _Clock()
    longest = max(len(row["input_ids"]) for row in rows)
    tokens = _tokens_a_chain(options, rows)
    # As many tokens an optimizer step as the other contenders have.
    rows_a_step = max(1, round(options.batch * tokens / longest)) if packing else options.batch * options.steps
    with tempfile.TemporaryDirectory() as folder:
        arguments = _trl_arguments(options, folder, rows_a_step)
        settings = SFTConfig(**arguments, max_length=longest, packing=packing)
        trainer = SFTTrainer(str(base), settings, **_trl_material(base, rows, clock))
        count = len(trainer.train_dataset)
        trainer.train()
    if packing:
        # Rows hold parts of chains: the timed ones stand for as many chains as their share of all rows.
        options.chains = (count - rows_a_step) / count * (options.chains + options.batch)
    return _figures(clock, options, tokens, base)


def gkd(options: argparse.Namespace) -> dict[str, float]:
    """TRL's GKDTrainer off-policy, a row an example."""
    import torch
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        (row,) = rows
        found = {name: torch.tensor([values]) for name, values in row.items()}
        return {**found, "attention_mask": torch.ones_like(found["input_ids"])}

    base, rows, clock = _model(options), _trl_rows(options), _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = _trl_arguments(options, folder, options.batch * options.steps)
        teacher = {"dtype": options.dtype}
        settings = GKDConfig(**arguments, teacher_model_init_kwargs=teacher, lmbda=0.0, beta=0.0, temperature=1.0)
        material = _trl_material(base, rows, clock)
        GKDTrainer(str(base), str(base), settings, data_collator=collate, **material).train()
    return _figures(clock, options, _tokens_a_chain(options, rows), base)


def _tokens_a_chain(options: argparse.Namespace, rows: list[dict[str, list[int]]]) -> float:
    return sum(len(row["input_ids"]) for row in rows) / (options.chains + options.batch)


def _trl_rows(options: argparse.Namespace) -> list[dict[str, list[int]]]:
    return [
        {"input_ids": [*prompt, *target], "labels": [*[-100] * len(prompt), *target]}
        for number in range(options.chains + options.batch)
        for prompt, target in examples_of(number, options.steps, options.top_k)
    ]


def _trl_arguments(options: argparse.Namespace, folder: str, rows_a_step: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": rows_a_step,
        "bf16": options.dtype == "bfloat16",
        "use_cpu": not _cuda(),
        "model_init_kwargs": {"dtype": "float32"},
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "learning_rate": 5e-5,
    }


def _trl_material(base: Path, rows: list[dict[str, list[int]]], clock: _Clock) -> dict[str, Any]:
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback

    class Tick(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            clock.tick(state.global_step, state.max_steps)

    return {
        "train_dataset": Dataset.from_list(rows),
        "processing_class": AutoTokenizer.from_pretrained(base),
        "callbacks": [Tick()],
    }


class _Clock:
    """Seconds between the first optimizer step's end and the last's."""

    def __init__(self) -> None:
        self.first = self.last = 0.0

    def tick(self, done: int, _all: int) -> None:
        """An optimizer step has ended."""
        if _cuda():
            import torch

            torch.cuda.synchronize()
        self.last = time.perf_counter()
        self.first = self.first or self.last

    @property
    def seconds(self) -> float:
        """Without the first step, which warms up."""
        return self.last - self.first


def _figures(clock: _Clock, options: argparse.Namespace, tokens: float, base: Path) -> dict[str, float]:
    from steper_core.checkpoints import model_facts

    seconds = clock.seconds / options.chains
    found = {"seconds": seconds, "tokens": tokens, "memory": float(_peak_memory())}
    peak = _peak_flops()
    if peak:
        found["utilisation"] = 6 * model_facts(base)["parameters_total"] * tokens / seconds / peak
    return found


def _peak_memory() -> int:
    if _cuda():
        import torch

        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peak_flops() -> float | None:
    if not _cuda():
        return None
    import torch

    name = torch.cuda.get_device_name()
    return next((flops for part, flops in PEAK_FLOPS.items() if part in name), None)


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _model(options: argparse.Namespace) -> Path:
    from steper_core.checkpoints import resolve_model

    return _random_model() if options.model == "random" else resolve_model(options.model)


def _random_model() -> Path:
    """A folder with SmolLM2-135M's shape, random weights and a tokenizer of nothing but an end token."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = Path(tempfile.gettempdir()) / "steper-random-135m"
    tokenizer = Tokenizer(models.WordLevel({"<end>": 0}, unk_token="<end>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1_536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8_192,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


CONTENDERS: dict[str, dict[str, Callable[[argparse.Namespace], dict[str, float]]]] = {
    "cross-entropy": {
        "steper": lambda options: ours(options),
        "steper, a row an example": lambda options: ours(options, packed=False),
        "TRL, a row an example": lambda options: sft(options, packing=False),
        "TRL, packed": lambda options: sft(options, packing=True),
    },
    "logits": {
        "steper": lambda options: ours(options),
        "steper, a row an example": lambda options: ours(options, packed=False),
        "TRL's GKD, a row an example": gkd,
    },
}


if __name__ == "__main__":
    main()
