"""What a recipe's material is: worlds by default, official files by their splits, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from steper_core.config import DataSection, Recipe
from steper_core.errors import UserError
from steper_core.material import Material, load_material
from steper_core.worlds import WorldConfig, generate

TRAIN = [f"t{number:02d}" for number in range(12)]
DEV = [f"d{number}" for number in range(4)]


def hotpotqa_row(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "_id": name,
        "question": f"Which lake lies beside town {name}?",
        "answer": f"Lake {name}",
        "type": "bridge",
        "level": "hard",
        "supporting_facts": [[f"Town {name}", 0]],
        "context": [[f"Town {name}", [f"It lies beside Lake {name}."]], ["Common", ["A common passage."]]],
    } | changes


def musique_row(name: str) -> dict[str, Any]:
    paragraph = {"idx": 0, "title": f"Hill {name}", "paragraph_text": "A hill.", "is_supporting": True}
    part = {"id": 1, "question": "Which hill?", "answer": f"Hill {name}", "paragraph_support_idx": 0}
    return {
        "id": f"2hop__{name}",
        "paragraphs": [paragraph],
        "question": f"Which hill is {name}?",
        "question_decomposition": [part],
        "answer": f"Hill {name}",
        "answer_aliases": [],
        "answerable": True,
    }


def array(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text(json.dumps(rows), "utf-8")
    return str(path)


def folder(tmp_path: Path) -> Path:
    """A folder as the official files stand in it: twelve questions to train on, four to evaluate on."""
    path = tmp_path / "hotpotqa"
    path.mkdir()
    array(path / "hotpot_train_v1.1.json", *map(hotpotqa_row, TRAIN))
    array(path / "hotpot_dev_v1.json", *map(hotpotqa_row, DEV))
    return path


def load(seed: int = 0, **data: Any) -> Material:
    return load_material(Recipe(seed=seed, data=DataSection.model_validate({"held_out_questions": 0, **data})))


def ids(questions: Any) -> list[str]:
    return [question.id for question in questions]


def test_without_paths_the_generated_world_is_used() -> None:
    config = WorldConfig(passages=60, train_questions=6, held_out_questions=3, test_questions=4)
    found = load_material(Recipe(worlds=config))
    world = generate(config)
    assert found == Material("worlds", world.train, world.held_out, world.test, world.passages)
    assert (len(found.training), len(found.held_out), len(found.evaluation), len(found.corpus)) == (6, 3, 4, 60)


@pytest.mark.parametrize("name", ["train_questions", "evaluation_questions", "held_out_questions"])
def test_a_setting_of_files_is_not_ignored_where_there_are_none(name: str) -> None:
    other = name.replace("evaluation", "test")
    with pytest.raises(UserError, match=rf"data\.{name} is about files, .* worlds\.{other} "):
        load_material(Recipe(data=DataSection.model_validate({name: 3})))


def test_questions_of_two_files_that_are_numbered_alike_are_told(tmp_path: Path) -> None:
    path = folder(tmp_path)
    array(path / "hotpot_train_more.json", hotpotqa_row("t00"), hotpotqa_row("t01", question="Another one?"))
    found = load(paths=[str(path)])
    assert sorted(ids(found.training)) == TRAIN
    assert found.remarks == (
        "1 question has the id of another question in an earlier file and was left out ('t01'): give each its own id",
    )


def test_the_files_of_a_folder_are_split_by_their_names(tmp_path: Path) -> None:
    found = load(paths=[str(folder(tmp_path))], held_out_questions=5)
    assert found.dataset == "hotpotqa"
    assert sorted(ids(found.training) + ids(found.held_out)) == TRAIN
    assert len(found.held_out) == 5
    assert sorted(ids(found.evaluation)) == DEV
    # The labelled passages of both files, each once.
    expected = {f"Town {name}" for name in TRAIN + DEV} | {"Common"}
    assert {passage.title for passage in found.corpus} == expected and len(found.corpus) == 17
    assert found.remarks == ()


def test_questions_that_also_stand_in_the_evaluation_are_left_out_and_reported(tmp_path: Path) -> None:
    path = folder(tmp_path)
    same_text = hotpotqa_row("other", question=hotpotqa_row("d1")["question"].upper())
    array(path / "hotpot_train_v1.1.json", *map(hotpotqa_row, TRAIN), hotpotqa_row("d0"), same_text)
    found = load(paths=[str(path)])
    assert sorted(ids(found.training)) == TRAIN
    assert found.remarks == (
        "2 training questions also stand in the evaluation and do not count as training questions",
    )


def test_rows_at_fault_are_reported_at_most_ten_by_name(tmp_path: Path) -> None:
    path = folder(tmp_path)
    array(path / "hotpot_train_v1.1.json", hotpotqa_row("t"), *[hotpotqa_row(f"b{n}", answer="") for n in range(13)])
    found = load(paths=[str(path)])
    assert ids(found.training) == ["t"]
    assert len(found.remarks) == 11
    assert "row 2: field 'answer'" in found.remarks[0] and found.remarks[0].endswith("(left out)")
    assert found.remarks[-1] == "3 more rows left out"


def test_a_sample_is_a_prefix_of_the_larger_sample(tmp_path: Path) -> None:
    path = str(folder(tmp_path))
    whole = load(paths=[path], held_out_questions=2)
    for count in (1, 4, 9, 10, 50):
        part = load(paths=[path], held_out_questions=2, train_questions=count, evaluation_questions=min(count, 4))
        assert part.held_out == whole.held_out
        assert part.training == whole.training[:count]
        assert part.evaluation == whole.evaluation[:count]
        assert part.corpus == whole.corpus


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    path = str(folder(tmp_path))
    first, same, other = (ids(load(seed=seed, paths=[path]).training) for seed in (1, 1, 2))
    assert first == same != other
    assert sorted(first) == sorted(other) == TRAIN


def test_files_named_for_a_split_need_no_telling_names(tmp_path: Path) -> None:
    a = array(tmp_path / "a.json", hotpotqa_row("a0"), hotpotqa_row("a1"))
    b = array(tmp_path / "b.json", hotpotqa_row("b0"))
    found = load(train=[a], evaluation=[b])
    assert (sorted(ids(found.training)), ids(found.evaluation)) == (["a0", "a1"], ["b0"])
    with pytest.raises(UserError, match=r"data\.train"):
        load(paths=[a, b])


def test_a_file_of_the_folder_that_is_named_for_a_split_is_used_for_that_alone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir()
    for name in ("train", "dev", "dev2", "extra"):
        array(path / f"{name}.json", hotpotqa_row(name))
    found = load(paths=[str(path)], train=[str(path / "extra.json"), str(path / ".." / "data" / "dev2.json")])
    assert (sorted(ids(found.training)), ids(found.evaluation)) == (["dev2", "extra", "train"], ["dev"])


def test_several_datasets_are_named_together(tmp_path: Path) -> None:
    hotpotqa, musique = (
        array(tmp_path / "a.json", hotpotqa_row("a0")),
        array(tmp_path / "b.json", musique_row("m0"), musique_row("m1")),
    )
    found = load(train=[hotpotqa, musique], evaluation=[musique])
    assert found.dataset == "hotpotqa+musique"
    assert ids(found.training) == ["a0"]


def corpus_file(path: Path, *titles: str) -> str:
    path.write_text("".join(json.dumps({"title": title, "text": "Text."}) + "\n" for title in titles), "utf-8")
    return str(path)


def test_a_corpus_of_ones_own_takes_the_place_of_the_labelled_passages(tmp_path: Path) -> None:
    a = array(tmp_path / "a.json", hotpotqa_row("a0"))
    found = load(train=[a], corpus=[corpus_file(tmp_path / "mine.jsonl", "One", "Two")])
    assert [passage.title for passage in found.corpus] == ["One", "Two"]


def test_ids_of_a_corpus_neither_hide_gold_passages_nor_need_to_be_known(tmp_path: Path) -> None:
    a = array(tmp_path / "a.json", hotpotqa_row("a0"))
    (gold,) = load(train=[a]).training[0].gold_passage_ids
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps({"id": 0, "title": "Town a0", "text": "It lies beside Lake a0."}), "utf-8")
    found = load(train=[a], corpus=[str(mine)])
    assert [passage.id for passage in found.corpus] == [gold] and found.remarks == ()
    hop = {"question": "?", "answer": None, "statement": "S.", "passage_id": "0"}
    own = array(tmp_path / "o.json", {"id": "o", "dataset": "mine", "text": "Which?", "answer": "That", "hops": [hop]})
    assert load(train=[own], corpus=[str(mine)]).training[0].gold_passage_ids == (gold,)


def test_gold_passages_that_the_corpus_lacks_are_told(tmp_path: Path) -> None:
    a = array(tmp_path / "a.json", *map(hotpotqa_row, ("a0", "a1")))
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps({"title": "Town a0", "text": "It lies beside Lake a0."}), "utf-8")
    (told,) = load(train=[a], corpus=[str(mine)]).remarks
    assert told.startswith("1 of 2 questions have a gold passage that the corpus does not hold")


def test_a_corpus_file_of_the_folder_is_added_to_the_labelled_passages(tmp_path: Path) -> None:
    path = folder(tmp_path)
    corpus_file(path / "corpus.jsonl", "One")
    found = load(paths=[str(path)])
    assert found.corpus[-1].title == "One" and len(found.corpus) == 18


def test_files_that_label_no_passage_need_a_corpus(tmp_path: Path) -> None:
    own = {"id": "o", "dataset": "mine", "text": "Which?", "answer": "That"}
    source = array(tmp_path / "a.json", own)
    with pytest.raises(UserError, match=r"the corpus is empty.*data\.corpus"):
        load(train=[source])
    assert len(load(train=[source], corpus=[corpus_file(tmp_path / "mine.jsonl", "One")]).corpus) == 1


def test_a_folder_of_passages_alone_has_no_questions(tmp_path: Path) -> None:
    path = tmp_path / "only"
    path.mkdir()
    corpus_file(path / "corpus.jsonl", "One")
    with pytest.raises(UserError, match="no questions in"):
        load(paths=[str(path)])


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "~nobody-of-this-name/none"):
        with pytest.raises(UserError, match="does not exist"):
            load(paths=[name])


def test_official_test_files_have_no_answers_and_are_passed_over(tmp_path: Path) -> None:
    here = folder(tmp_path)
    without = [{key: value for key, value in hotpotqa_row(name).items() if key != "answer"} for name in ("x1", "x2")]
    test = array(here / "hotpot_test_fullwiki.json", *without)
    array(here / "dev_test_singlehop_questions.json", {"natural_questions": []})
    found = load(paths=[str(here)])
    assert sorted(ids(found.evaluation)) == DEV
    assert found.remarks == (
        f"no usable question: {test}, row 1: field 'answer' is missing, empty or no text: passed over",
    )
    with pytest.raises(UserError, match="field 'answer' is missing"):
        load(evaluation=[test])
    with pytest.raises(UserError, match="field 'answer' is missing"):
        load(paths=[test])


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    here = folder(tmp_path)
    train = str(next(here.glob("*train*")))
    found = load(paths=(str(here), train), train=(train,), held_out_questions=0)
    assert sorted(ids(found.training)) == sorted(set(ids(found.training)))


def test_a_corpus_without_questions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.corpus"):
        load(corpus=(corpus_file(tmp_path / "corpus.jsonl", "A"),))
