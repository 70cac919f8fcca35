import json
from pathlib import Path

import pytest

from steper_core.datasets import Corpus, Dataset, find_splits, merge, read_corpus, with_passages_of, without_overlap
from steper_core.errors import UserError
from steper_core.records import Hop, Passage, Question


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_a_passage_of_a_corpus_is_known_by_its_text_and_its_own_ids_lead_to_it(tmp_path: Path) -> None:
    town = {"title": "Morvane", "text": "A  town."}
    path = lines(tmp_path / "corpus.jsonl", town | {"id": "p1"}, town, town, town | {"id": 7}, town | {"id": "p1"})
    expected = Passage.of("Morvane", "A town.")
    assert read_corpus(path) == Corpus((expected,), {"p1": expected.id, "7": expected.id})


def test_hops_that_name_passages_as_a_corpus_does_name_the_passages(tmp_path: Path) -> None:
    town, lake = Passage.of("Morvane", "A town."), Passage.of("Lake Tiv", "A lake.")
    hops = tuple(Hop(question="?", answer="a", statement="A.", passage_id=name) for name in ("1", lake.id, None))
    asked = Question(id="q", dataset="mine", text="Which?", answer="That", hops=hops)
    dataset = Dataset("mine", (asked,), (), ())
    one = Corpus((town, lake), {"1": town.id, "2": lake.id})
    (found,) = with_passages_of(dataset, [one]).questions
    assert [hop.passage_id for hop in found.hops] == [town.id, lake.id, None]
    assert with_passages_of(dataset, []) == dataset
    with pytest.raises(UserError, match="'q' names the passage '1', and two corpora"):
        with_passages_of(dataset, [one, Corpus((lake,), {"1": lake.id})])


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "p1", "title": "Other", "text": "Text."},
        {"title": "Other"},
        {"title": "Other", "text": " "},
        {"id": [], "title": "Other", "text": "Text."},
        "{broken",
        "[]",
    ],
)
def test_bad_corpus_lines(tmp_path: Path, bad: object) -> None:
    path = lines(tmp_path / "corpus.jsonl", {"id": "p1", "title": "Morvane", "text": "A town."}, bad)
    with pytest.raises(UserError, match=r"corpus\.jsonl, line 2"):
        read_corpus(path)


def test_merge() -> None:
    town, lake = Passage.of("Morvane", "A town."), Passage.of("Lake Tiv", "A lake.")
    one = Dataset("hotpotqa", (), (town,), ())
    two = Dataset("musique", (), (lake, town), ())
    hill = Passage.of("A hill", "It is high.")
    corpus = Corpus((hill, town), {})
    assert merge([one, two, one], [corpus, corpus]) == (town, lake, hill)


def test_splits_are_told_by_the_file_names(tmp_path: Path) -> None:
    names = {
        "train": ["x_train_v1.jsonl"],
        "evaluation": ["dev.json", "held_out.jsonl", "x-validation.json", "x_test.jsonl"],
        "corpus": ["corpus.jsonl", "corpus_2.jsonl"],
        "": ["id_aliases.json", "README.md"],
    }
    for group in names.values():
        for name in group:
            (tmp_path / name).write_text("x")
    splits = find_splits([tmp_path, tmp_path / "dev.json", "hub:a/b::train[:9]"])
    assert splits.train == (tmp_path / "x_train_v1.jsonl", "hub:a/b::train[:9]")
    assert splits.evaluation == tuple(tmp_path / name for name in names["evaluation"])
    assert splits.corpus == tuple(tmp_path / name for name in names["corpus"])


@pytest.mark.parametrize("name", ["questions.json", "contest.jsonl", "train_and_dev.json"])
def test_a_name_that_tells_no_split(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=r"data\.train"):
        find_splits([tmp_path])


def test_splits_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no"):
        find_splits([tmp_path])
    with pytest.raises(UserError, match="does not exist"):
        find_splits([tmp_path / "train.json"])


def test_training_questions_that_are_evaluated_are_left_out() -> None:
    def ask(identity: str, text: str) -> Question:
        return Question(id=identity, dataset="worlds", text=text, answer="x")

    # Numbers of rows stand in several files.
    assert without_overlap([ask("1", "Who?")], [ask("1", "Whom?").model_copy(update={"answer": "y"})])[1] == 0
    train = [ask("1", "Who is Ona?"), ask("2", "who is  TOR"), ask("3", "Who is Sel?"), ask("4", "Where?")]
    kept, left_out = without_overlap(train, [ask("1", "Other?"), ask("9", "Who is Tor?"), ask("8", "Why?")])
    assert ([question.id for question in kept], left_out) == (["3", "4"], 2)
