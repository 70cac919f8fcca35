import json
from pathlib import Path
from typing import Any

import pytest

from evaluators.evidence import gold_triples
from evaluators.golds import Gold, GoldFile, read_aliases, read_golds
from evaluators.official import FileScore, score_file
from evaluators.predictions import Predictions, read_predictions
from evaluators.support import gold_facts
from steper_core.errors import UserError

SHARED = Path(__file__).parents[3] / "shared"
ANSWER_FIGURES = {"em", "f1", "precision", "recall", "acc", "acc_bounded"}
FACTS = gold_facts([["Ona", 0], ["Tiv", 1]])
HOTPOT = [Gold(identity, ("lake tiv",), "hotpotqa", facts=FACTS) for identity in ("q", "r")]
TRIPLES = gold_triples([["Ona", "mouth", "Mor"]], [])


def score(golds: list[Gold], answers: dict[str, str], **parts: Any) -> FileScore:
    return score_file(GoldFile("gold", tuple(golds), frozenset(), ()), Predictions("said", answers, **parts))


def means(result: FileScore) -> dict[str, float | None]:
    return {name: figure.mean for name, figure in result.figures.items()}


def test_hotpotqa_by_hand() -> None:
    # q: answer precision 1, recall 1/2; facts precision 1/2, recall 1/2. r has no prediction at all.
    result = score(HOTPOT, {"q": "Tiv"}, facts={"q": [["Ona", 0], ["Ona", 1]]})
    found = means(result)
    assert (found["em"], found["precision"], found["recall"]) == (0.0, 0.5, 0.25)
    assert (found["sp_em"], found["sp_precision"], found["sp_recall"], found["sp_f1"]) == (0.0, 0.25, 0.25, 0.25)
    # joint: precision 1/2, recall 1/4, F1 = 2 * 1/8 / (3/4) = 1/3, each halved by the missing question
    assert (found["joint_precision"], found["joint_recall"]) == (0.25, 0.125)
    assert found["joint_f1"] == pytest.approx(1 / 6)
    assert found["joint_em"] == 0.0
    assert result.missing == {"answer": 1, "supporting facts": 1}
    assert {figure.n for figure in result.figures.values()} == {2}
    assert set(found) == ANSWER_FIGURES | {
        f"{group}_{name}" for group in ("sp", "joint") for name in ("em", "f1", "precision", "recall")
    }


def test_2wikimultihopqa_joins_three() -> None:
    golds = [Gold("q", ("mor", "sea of mor"), "2wikimultihopqa", facts=FACTS, evidence=TRIPLES)]
    said = {"facts": {"q": [["ONA", 0]]}, "evidence": {"q": [["Ona", "mouth", "Mor"], ["x", "y", "z"]]}}
    found = means(score(golds, {"q": "Mor"}, **said))
    assert (found["em"], found["sp_precision"], found["sp_recall"]) == (1.0, 1.0, 0.5)
    assert (found["evidence_precision"], found["evidence_recall"], found["evidence_em"]) == (0.5, 1.0, 0.0)
    assert (found["joint_precision"], found["joint_recall"], found["joint_f1"]) == (0.5, 0.5, 0.5)


def test_musique_has_neither_precision_nor_recall() -> None:
    golds = [Gold("q", ("tiv",), "musique", paragraphs=frozenset({1, 2}))]
    found = means(score(golds, {"q": "Tiv"}, paragraphs={"q": [1, 3]}))
    assert found == {"em": 1.0, "f1": 1.0, "acc": 1.0, "acc_bounded": 1.0, "support_em": 0.0, "support_f1": 0.5}


@pytest.mark.parametrize("facts", [None, {}, {"q": [], "r": []}])
def test_what_the_predictions_do_not_hold_is_unscored(facts: Any) -> None:
    result = score(HOTPOT, {"q": "Lake Tiv", "r": "Tiv"}, facts=facts)
    assert set(result.figures) == ANSWER_FIGURES
    assert result.unscored == {
        "sp": "the predictions hold no supporting facts",
        "joint": "the predictions hold no supporting facts",
    }
    assert result.missing == {"answer": 0}


def test_joint_needs_every_part() -> None:
    golds = [Gold("q", ("mor",), "2wikimultihopqa", facts=FACTS, evidence=TRIPLES)]
    result = score(golds, {"q": "Mor"}, facts={"q": [["Ona", 0]]})
    assert "sp_f1" in result.figures and "joint_f1" not in result.figures
    assert result.unscored["joint"] == "the predictions hold no evidence"


def test_what_the_gold_file_does_not_hold_is_unscored() -> None:
    result = score([Gold("q", ("tiv",), "worlds")], {"q": "Tiv"}, facts={"q": [["Ona", 0]]}, evidence={"q": []})
    assert set(result.figures) == ANSWER_FIGURES
    assert result.unscored == {"sp": "gold holds no supporting facts"}
    joined = score(HOTPOT, {"q": "Tiv"}, facts={"q": [["Ona", 0]]}, evidence={"q": [["a", "b", "c"]]})
    assert "joint_f1" in joined.figures and set(joined.unscored) == {"evidence"}
    # A file in the other dataset's format has a place for evidence, and nothing in it.
    empty = score(HOTPOT, {"q": "Tiv"}, facts={"q": [["Ona", 0]]}, evidence={"q": []})
    assert means(empty) == means(joined) and not empty.unscored


def test_a_prediction_at_fault_counts_0_and_the_rest_goes_on() -> None:
    result = score(HOTPOT, {"q": "Lake Tiv", "r": "Lake Tiv"}, facts={"q": ["Ona"], "r": [["Ona", 0], ["Tiv", 1]]})
    assert result.problems == ("said, supporting facts of 'q': must be a list of pairs: [title, sentence number]",)
    assert means(result)["sp_em"] == means(result)["joint_em"] == 0.5
    assert result.missing["supporting facts"] == 0


def test_unknown_ids_are_counted_once() -> None:
    result = score(HOTPOT, {"q": "x", "z": "x"}, facts={"q": [["Ona", 0]], "z": [], "y": []})
    assert result.unknown == 2


def test_no_prediction_is_of_these_questions() -> None:
    result = score(HOTPOT, {"z": "Lake Tiv"})
    assert (means(result)["em"], result.missing["answer"], result.unknown) == (0.0, 2, 1)


def test_several_datasets_in_one_file() -> None:
    golds = [Gold("q", ("no",), "musique"), Gold("r", ("no",), "hotpotqa")]
    result = score(golds, {"q": "no way", "r": "no way"})
    assert result.figures["f1"].mean == pytest.approx(1 / 3)
    assert (result.figures["precision"].mean, result.figures["precision"].n) == (0.0, 1)
    assert result.figures["precision"].unscored == 1


def test_musique_full_is_refused_where_rows_cannot_be_told_apart() -> None:
    gold_file = GoldFile("gold", (Gold("q", ("tiv",), "musique"),), frozenset({"q"}), ())
    assert score_file(gold_file, Predictions("said", {"q": "Tiv"})).figures["em"].mean == 1.0
    with pytest.raises(UserError, match=r"said has several rows of 'q'.*unanswerable in gold"):
        score_file(gold_file, Predictions("said", {"q": "Tiv"}, repeated=frozenset({"q"})))


OURS = {"prec": "precision", "answer_em": "em", "answer_f1": "f1"}
FILES = {
    "hotpotqa": ("hotpotqa/hotpot_dev_distractor_v1.sample.json", "hotpotqa_predictions.json"),
    "2wikimultihopqa": ("2wikimultihopqa/dev.sample.json", "2wikimultihopqa_predictions.json"),
    "musique": ("musique/musique_ans_v1.0_dev.sample.jsonl", "musique_predictions.jsonl"),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the outputs of the datasets' scripts are not here")
@pytest.mark.parametrize("dataset", FILES)
def test_equals_the_datasets_own_scripts(dataset: str) -> None:
    gold, predictions = FILES[dataset]
    aliases = read_aliases(SHARED / "golden/2wikimultihopqa_aliases.jsonl")[0] if dataset == "2wikimultihopqa" else None
    result = score_file(read_golds(SHARED / "data" / gold, aliases), read_predictions(SHARED / "golden" / predictions))
    expected = json.loads((SHARED / f"golden/{dataset}_expected.json").read_text("utf-8"))
    found = {}
    for name in expected:
        mean = result.figures[OURS.get(name) or name.replace("evi_", "evidence_").replace("_prec", "_precision")].mean
        assert mean is not None
        found[name] = {"hotpotqa": mean, "2wikimultihopqa": round(mean * 100, 2), "musique": round(mean, 3)}[dataset]
    assert found == expected
