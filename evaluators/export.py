"""A run's answers in the prediction formats of the datasets' own evaluation scripts.

A chain holds no supporting sentences, triples or paragraph numbers: they are written empty, so that the scripts run,
and their figures mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

FORMATS = ("hotpotqa", "2wikimultihopqa", "musique")

UNSCORED: dict[str, str] = {
    "hotpotqa": "supporting sentences (sp), and with them joint",
    "2wikimultihopqa": "supporting sentences (sp) and evidence, and with them joint",
    "musique": "supporting paragraphs (support)",
}
"""What an exported file holds nothing of, by its format."""


def export_answers(answers: Mapping[str, str], file_format: str) -> str:
    """The text of a prediction file of these answers, by question id, in their order; "" is no answer.

    It is plain ASCII: the scripts open files in whatever encoding the machine prefers.

    Raises:
        ValueError: there is no such format.
    """
    if file_format == "musique":
        return "".join(json.dumps(_musique_row(identity, answer)) + "\n" for identity, answer in answers.items())
    if file_format not in FORMATS:
        raise ValueError(f"there is no prediction format {file_format!r}, only {', '.join(FORMATS)}")
    tables: dict[str, Mapping[str, object]] = {"answer": answers, "sp": {identity: [] for identity in answers}}
    if file_format == "2wikimultihopqa":
        tables["evidence"] = {identity: [] for identity in answers}
    return json.dumps(tables) + "\n"


def _musique_row(identity: str, answer: str) -> dict[str, object]:
    return {
        "id": identity,
        "predicted_answer": answer,
        "predicted_support_idxs": [],
        "predicted_answerable": True,
    }
