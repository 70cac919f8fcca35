"""Scoring a file of predictions: ours against a plain loop over the definitions, on one core, in one process.

    python benchmarks/scoring.py [--predictions 100000] [--rounds 5]

Generated questions in the format of HotpotQA: answers of one to four words (two in five predicted to the letter, others
in another case, longer, or wrong), two to four supporting facts. Both sides start from the same files. "Reading" ends
with parsed rows (ours are checked too), "scoring" normalises, compares and averages; that both give the same figures is
checked. The plain loop works each figure out by its own definition. Seconds are those of the processor, so that other
work on the machine does not count.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import statistics
import string
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from evaluators.golds import read_golds
from evaluators.official import score_file
from evaluators.predictions import read_predictions
from steper_core.environment import describe_environment

WORDS = 5000
ACCENTED = 100
CLOSED = ("yes", "no", "noanswer")
Figures = dict[str, float]


def main() -> None:
    """Generate, score both ways, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gold, predictions = generate(Path(folder), options.predictions)
        rounds = [(ours(gold, predictions), plain(gold, predictions)) for _ in range(options.rounds)]
    for (_, _, fast), (_, _, slow) in rounds:
        if {name: round(value, 9) for name, value in fast.items()} != {n: round(v, 9) for n, v in slow.items()}:
            raise SystemExit(f"the figures differ: {fast} and {slow}")
    _, hardware, _ = describe_environment()
    print(f"{hardware['processor']}, {os.cpu_count()} cores; {options.predictions:,} predictions, {len(fast)} figures")
    print(f"{'median of ' + str(options.rounds) + ' rounds':<24}{'reading s':>10}{'scoring s':>10}{'together s':>12}")
    for label, place in (("ours", 0), ("plain loop", 1)):
        reading, scoring = (statistics.median(pair[place][part] for pair in rounds) for part in (0, 1))
        print(f"{label:<24}{reading:>10.2f}{scoring:>10.2f}{reading + scoring:>12.2f}")
    ratio = statistics.median(slow[1] / fast[1] for fast, slow in rounds)
    print(f"scoring is {ratio:.1f} times faster than the plain loop")


def ours(gold: Path, predictions: Path) -> tuple[float, float, Figures]:
    """Seconds of reading, seconds of scoring, and the figures."""
    gc.collect()
    started = time.process_time()
    golds, said = read_golds(gold), read_predictions(predictions)
    read = time.process_time()
    score = score_file(golds, said)
    scored = time.process_time()
    return read - started, scored - read, {name: figure.mean or 0.0 for name, figure in score.figures.items()}


def plain(gold: Path, predictions: Path) -> tuple[float, float, Figures]:
    """The same by the definitions, one question after the other."""
    gc.collect()
    started = time.process_time()
    golds, said = json.loads(gold.read_text("utf-8")), json.loads(predictions.read_text("utf-8"))
    read = time.process_time()
    sums: Counter[str] = Counter()
    for row in golds:
        answer, facts = said["answer"].get(row["_id"]), said["sp"].get(row["_id"])
        answer_figures = plain_answer(answer, row["answer"]) if answer is not None else {}
        fact_figures = plain_facts(facts, row["supporting_facts"]) if facts is not None else {}
        joint_figures = plain_joint(answer_figures, fact_figures) if answer_figures and fact_figures else {}
        for figures in (answer_figures, fact_figures, joint_figures):
            for name, value in figures.items():
                sums[name] += value
    means = {name: value / len(golds) for name, value in sums.items()}
    return read - started, time.process_time() - read, means


def plain_normalise(text: str) -> str:
    """Lower-case, drop ASCII punctuation, drop a/an/the, collapse spaces."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def plain_overlap(prediction: str, gold: str) -> tuple[float, float, float]:
    """F1, precision, recall of the tokens; 0 if either side is yes, no or noanswer and they differ."""
    said, right = plain_normalise(prediction), plain_normalise(gold)
    if said != right and (said in CLOSED or right in CLOSED):
        return 0.0, 0.0, 0.0
    same = sum((Counter(said.split()) & Counter(right.split())).values())
    if not same:
        return 0.0, 0.0, 0.0
    precision, recall = same / len(said.split()), same / len(right.split())
    return 2 * precision * recall / (precision + recall), precision, recall


def plain_answer(prediction: str, gold: str) -> Figures:
    """The figures of an answer, each by its definition."""
    f1, precision, recall = plain_overlap(prediction, gold)
    return {
        "em": float(plain_normalise(prediction) == plain_normalise(gold)),
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "acc": float(plain_normalise(gold) in plain_normalise(prediction)),
        "acc_bounded": float(f" {plain_normalise(gold)} " in f" {plain_normalise(prediction)} "),
    }


def plain_facts(prediction: list[Any], gold: list[Any]) -> Figures:
    """Exact match, F1, precision and recall of the set of supporting facts."""
    said, right = {tuple(fact) for fact in prediction}, {tuple(fact) for fact in gold}
    same = len(said & right)
    precision, recall = same / len(said) if said else 0.0, same / len(right) if right else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"sp_em": float(said == right), "sp_f1": f1, "sp_precision": precision, "sp_recall": recall}


def plain_joint(answer: Figures, facts: Figures) -> Figures:
    """Products of exact match, precision and recall, and the F1 of the latter two."""
    precision, recall = answer["precision"] * facts["sp_precision"], answer["recall"] * facts["sp_recall"]
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    em = answer["em"] * facts["sp_em"]
    return {"joint_em": em, "joint_f1": f1, "joint_precision": precision, "joint_recall": recall}


def generate(folder: Path, count: int) -> tuple[Path, Path]:
    """Write a gold file and predictions for all but one question in fifty."""
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9))).capitalize() for _ in range(WORDS)]
    words[:ACCENTED] = [f"{word}é" for word in words[:ACCENTED]]
    small = [*words, *["the", "of", "a"] * (WORDS // 30)]

    def text() -> str:
        return " ".join([rng.choice(words), *rng.choices(small, k=rng.choice((0, 0, 1, 1, 2, 3)))])

    golds: list[dict[str, Any]] = []
    answers: dict[str, str] = {}
    supports: dict[str, list[list[Any]]] = {}
    for number in range(count):
        identity, answer = f"{number:024x}", text() if rng.random() < 0.95 else rng.choice(("yes", "no"))
        facts = [[text(), rng.randint(0, 3)] for _ in range(rng.choice((2, 2, 2, 3, 4)))]
        golds.append({"_id": identity, "answer": answer, "supporting_facts": facts})
        if rng.random() < 0.02:
            continue
        answers[identity] = rng.choice((answer, answer, f"The {answer.upper()}.", f"{answer}, {text()}", text()))
        supports[identity] = rng.choice((facts, facts[:-1], [*facts[:-1], [text(), 0]], [[text(), 0], [text(), 1]]))
    gold_file, predictions_file = folder / "gold.json", folder / "predictions.json"
    gold_file.write_text(json.dumps(golds), "utf-8")
    predictions_file.write_text(json.dumps({"answer": answers, "sp": supports}), "utf-8")
    return gold_file, predictions_file


if __name__ == "__main__":
    main()
