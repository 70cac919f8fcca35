import json

import pytest

from evaluators.export import FORMATS, UNSCORED, export_answers

ANSWERS = {"q": "Lake “Tiv”\n\ud800", "r": ""}


@pytest.mark.parametrize(
    ("file_format", "tables"),
    [
        ("hotpotqa", {"answer": ANSWERS, "sp": {"q": [], "r": []}}),
        ("2wikimultihopqa", {"answer": ANSWERS, "sp": {"q": [], "r": []}, "evidence": {"q": [], "r": []}}),
    ],
)
def test_one_object(file_format: str, tables: object) -> None:
    text = export_answers(ANSWERS, file_format)
    assert text.isascii() and json.loads(text) == tables


def test_musique_keeps_the_order() -> None:
    lines = export_answers(ANSWERS, "musique").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "q", "predicted_answer": ANSWERS["q"], "predicted_support_idxs": [], "predicted_answerable": True},
        {"id": "r", "predicted_answer": "", "predicted_support_idxs": [], "predicted_answerable": True},
    ]


def test_every_format_says_what_it_leaves_empty() -> None:
    assert set(UNSCORED) == set(FORMATS)
    with pytest.raises(ValueError, match="'worlds'"):
        export_answers(ANSWERS, "worlds")
