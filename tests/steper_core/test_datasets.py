import json
from pathlib import Path
from typing import Any

import pytest

from steper_core.datasets import find_splits, read, read_file, read_hub
from steper_core.errors import UserError
from steper_core.records import Hop, Passage, Question
from steper_core.relations import relation_question, relation_statement

SAMPLES = Path(__file__).parents[3] / "shared" / "data"


def hotpotqa_row(**changes: Any) -> dict[str, Any]:
    row = {
        "_id": "h1",
        "question": "Which lake lies beside the town where Ona Brell was born?",
        "answer": "Lake Tiv",
        "type": "bridge",
        "level": "hard",
        "supporting_facts": [["Morvane", 1], ["Ona Brell", 0], ["Morvane", 0]],
        "context": [
            ["Ona Brell", ["Ona Brell was born in Morvane.", " She paints."]],
            ["Morvane", ["Morvane is a town.", "  It lies\nbeside Lake Tiv.", " It has a mill."]],
            ["Lake Tiv", ["Lake Tiv is a lake."]],
        ],
    }
    return row | changes


def wiki_row(**changes: Any) -> dict[str, Any]:
    row = {
        "_id": "w1",
        "type": "compositional",
        "question": "Where was the director of Grey Salt born?",
        "answer": "Morvane",
        "supporting_facts": [["Grey Salt (1931 film)", 0], ["Ona Brell", 0]],
        "evidences": [["Grey Salt", "director", "Ona Brell"], ["Ona Brell", "place of birth", "Morvane"]],
        "evidences_id": [["Q1", "director", "Q2"], ["Q2", "place of birth", "Q3"]],
        "context": [
            ["Grey Salt", ["Grey Salt is a song by Ona Brell."]],
            ["Ona Brell", ["Ona Brell was born in Morvane."]],
            ["Grey Salt (1931 film)", ["Grey Salt was directed by Ona Brell."]],
        ],
        "answer_id": None,
    }
    return row | changes


def musique_row(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "2hop__11_12",
        "paragraphs": [
            {"idx": 0, "title": "Morvane", "paragraph_text": "Morvane lies  beside\nLake Tiv.", "is_supporting": True},
            {"idx": 1, "title": "Ona Brell", "paragraph_text": "She was born in Morvane.", "is_supporting": True},
        ],
        "question": "What lies beside the town where Ona Brell was born?",
        "question_decomposition": [
            {"id": 11, "question": "Ona Brell >> place of birth", "answer": "Morvane", "paragraph_support_idx": 1},
            {"id": 12, "question": "what lies beside #1 ?", "answer": "Lake Tiv", "paragraph_support_idx": 0},
        ],
        "answer": "Lake Tiv",
        "answer_aliases": ["Tiv", "", "Lake Tiv", "Tiv"],
        "answerable": True,
    }
    return row | changes


def decomposition(*parts: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"id": n, "question": text, "answer": answer, "paragraph_support_idx": 0}
        for n, (text, answer) in enumerate(parts)
    ]


def array(path: Path, *rows: object) -> Path:
    path.write_text(json.dumps(rows), "utf-8")
    return path


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def titles(question: Question, passages: tuple[Passage, ...]) -> list[str | None]:
    by_id = {passage.id: passage.title for passage in passages}
    return [by_id[hop.passage_id] if hop.passage_id else None for hop in question.hops]


def test_hotpotqa_has_a_hop_for_each_supporting_passage(tmp_path: Path) -> None:
    data = read(array(tmp_path / "some.txt", hotpotqa_row()))
    (question,) = data.questions
    assert (data.name, question.dataset, question.kind) == ("hotpotqa", "hotpotqa", "bridge")
    assert titles(question, data.passages) == ["Morvane", "Ona Brell"]
    assert question.hops[0] == Hop(
        question="What does the passage Morvane say?",
        answer=None,
        statement="Morvane is a town. It lies beside Lake Tiv.",
        passage_id=data.passages[1].id,
    )
    assert data.passages[1].text == "Morvane is a town. It lies beside Lake Tiv. It has a mill."


def test_a_sentence_number_past_the_end_falls_back_to_the_passage(tmp_path: Path) -> None:
    data = read_file(array(tmp_path / "a", hotpotqa_row(supporting_facts=[["Lake Tiv", 7]])))
    assert data.questions[0].hops[0].statement == "Lake Tiv is a lake."
    assert data.problems == ()


def test_passages_of_several_rows_are_merged_in_order(tmp_path: Path) -> None:
    other = hotpotqa_row(_id="h2", context=[["Ona Brell", ["Other text."]], *hotpotqa_row()["context"]])
    data = read_file(array(tmp_path / "a", hotpotqa_row(), other))
    assert [passage.title for passage in data.passages] == ["Ona Brell", "Morvane", "Lake Tiv", "Ona Brell"]


def test_2wiki_hops_state_the_evidence_and_prefer_supporting_passages(tmp_path: Path) -> None:
    data = read_file(array(tmp_path / "a", wiki_row()))
    (question,) = data.questions
    first, second = question.hops
    assert titles(question, data.passages) == ["Grey Salt (1931 film)", "Ona Brell"]
    assert (first.question, first.answer) == ("Who is the director of Grey Salt?", "Ona Brell")
    assert first.statement == "The director of Grey Salt is Ona Brell."
    assert (second.statement, second.depends_on) == ("Ona Brell was born in Morvane.", (0,))


def test_2wiki_dependencies_without_ids_come_from_the_names(tmp_path: Path) -> None:
    evidences = [["Grey Salt", "director", "Ona Brell"], ["Ona Brell (painter)", "place of birth", "Morvane"]]
    for ids in ([], None, [["Q1", "director", None], ["Q2", "place of birth", "Q3"]]):
        data = read_file(array(tmp_path / "a", wiki_row(evidences=evidences, evidences_id=ids)))
        assert data.questions[0].hops[1].depends_on == (0,)


def test_2wiki_ids_decide_over_the_names(tmp_path: Path) -> None:
    ids = [["Q1", "director", "Q2"], ["Q9", "place of birth", "Q3"]]
    data = read_file(array(tmp_path / "a", wiki_row(evidences_id=ids)))
    assert data.questions[0].hops[1].depends_on == ()


@pytest.mark.parametrize(
    ("subject", "object_", "expected"),
    [
        ("ona brell", "nowhere", "Ona Brell"),
        ("Ona Brell (painter)", "Morvane", "Ona Brell"),
        ("Grey Salt, a film", "nowhere", "Grey Salt (1931 film)"),
        ("Morvane", "Ona Brell", "Ona Brell"),
        ("song", "Ona Brell", "Grey Salt"),
        ("Nobody", "Ona Brell", None),
    ],
)
def test_2wiki_passage_of_a_subject(tmp_path: Path, subject: str, object_: str, expected: str | None) -> None:
    data = read_file(array(tmp_path / "a", wiki_row(evidences=[[subject, "spouse", object_]], evidences_id=[])))
    assert titles(data.questions[0], data.passages) == [expected]


def test_of_two_equal_titles_the_one_with_the_object_is_taken(tmp_path: Path) -> None:
    context = [["Ash (a)", ["It was filmed."]], ["Ash (b)", ["By Ona Brell."]]]
    row = wiki_row(
        context=context, supporting_facts=[["Ash (a)", 0], ["Ash (b)", 0]], evidences=[["Ash", "director", "Ona Brell"]]
    )
    data = read_file(array(tmp_path / "a", row))
    assert titles(data.questions[0], data.passages) == ["Ash (b)"]


def test_musique_resolves_references_and_relations(tmp_path: Path) -> None:
    data = read_file(lines(tmp_path / "a", musique_row()))
    (question,) = data.questions
    assert (question.dataset, question.kind, question.golds) == ("musique", "2hop", ("Lake Tiv", "Tiv"))
    assert titles(question, data.passages) == ["Ona Brell", "Morvane"]
    assert [hop.statement for hop in question.hops] == [
        "Ona Brell was born in Morvane.",
        "What lies beside Morvane? Lake Tiv.",
    ]
    assert [hop.depends_on for hop in question.hops] == [(), (0,)]
    assert data.passages[0].text == "Morvane lies beside Lake Tiv."


def test_musique_reference_ten_is_not_reference_one(tmp_path: Path) -> None:
    parts = [(f"Who is number {n}?", f"Person{n}") for n in range(1, 11)] + [("Did #10 meet #1 's aunt?", "yes")]
    data = read_file(lines(tmp_path / "a", musique_row(question_decomposition=decomposition(*parts))))
    last = data.questions[0].hops[-1]
    assert (last.question, last.depends_on) == ("Did Person10 meet Person1's aunt?", (0, 9))


@pytest.mark.parametrize(
    "text", ["Who had the #1 hit?", "What is C#1 about?", "Is #2 a song?", "Who is #1st?", f"Is #{'1' * 5000} one?"]
)
def test_musique_number_signs_that_are_no_references_stay(tmp_path: Path, text: str) -> None:
    rows = musique_row(question_decomposition=decomposition((text, "Ona")))
    assert read_file(lines(tmp_path / "a", rows)).questions[0].hops[0].question == text


def test_musique_answers_are_inserted_as_they_are(tmp_path: Path) -> None:
    parts = decomposition(
        ("Which song?", r"#2 \1 {x} A.B."), ("#1 >> performer", "Ona Jr."), ("(#1 ) , #2 >> mood", "x")
    )
    hops = read_file(lines(tmp_path / "a", musique_row(question_decomposition=parts))).questions[0].hops
    assert hops[1].question == r"Who is the performer of #2 \1 {x} A.B.?"
    assert hops[1].statement == r"The performer of #2 \1 {x} A.B. is Ona Jr."
    assert hops[2].question == r"What is the mood of (#2 \1 {x} A.B.), Ona Jr.?"


def test_unanswerable_musique_rows_are_reported(tmp_path: Path) -> None:
    data = read_file(lines(tmp_path / "a", musique_row(answerable=False), musique_row()))
    assert len(data.questions) == 1
    assert [(problem.row, problem.message) for problem in data.problems] == [(1, "the row is marked unanswerable")]


@pytest.mark.parametrize(
    ("relation", "statement"),
    [
        ("founded by", "Sel was founded by Tor."),
        ("educated at", "Sel was educated at Tor."),
        ("student of", "Sel was a student of Tor."),
        ("has part", "A part of Sel is Tor."),
        ("country", "The country of Sel is Tor."),
    ],
)
def test_relations_read_well(relation: str, statement: str) -> None:
    assert relation_statement("Sel", relation, "Tor") == statement
    assert relation_question("Sel", relation).endswith("?")


def test_our_own_questions(tmp_path: Path) -> None:
    hop = Hop(question="Where?", answer="there", statement="It is there.", passage_id="p1")
    question = Question(id="q1", dataset="worlds", text="Where is it?", answer="there", kind="2hop", hops=(hop,))
    data = read_file(lines(tmp_path / "a", question.model_dump_json()))
    assert (data.name, data.questions, data.passages) == ("worlds", (question,), ())


def test_own_questions_with_dangling_dependencies_are_reported(tmp_path: Path) -> None:
    good: dict[str, Any] = {"id": "q1", "dataset": "worlds", "text": "Where?", "answer": "there"}
    hop = {"question": "?", "answer": "x", "statement": "x", "passage_id": None, "depends_on": [0]}
    data = read_file(lines(tmp_path / "a", good, good | {"id": "q2", "hops": [hop]}, good | {"id": "q3", "extra": 1}))
    assert [problem.row for problem in data.problems] == [2, 3]
    assert "'extra'" in data.problems[1].message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (hotpotqa_row(question="  "), "'question'"),
        (hotpotqa_row(answer=None), "'answer'"),
        (hotpotqa_row(_id=None), "'_id'"),
        (hotpotqa_row(supporting_facts=[["Nowhere", 0]]), "'Nowhere' names no passage"),
        (hotpotqa_row(supporting_facts=[["Morvane"]]), "'supporting_facts' must hold pairs"),
        (hotpotqa_row(supporting_facts=[["Morvane", -1]]), "'supporting_facts'"),
        (hotpotqa_row(context=[["Morvane", "no list"]]), "'context'"),
        (hotpotqa_row(context={"title": ["a"], "sentences": []}), "'context'"),
        (hotpotqa_row(context=None), "'context' is missing"),
        (wiki_row(_id="x", evidences=[["a", "b"]]), "three texts"),
        (wiki_row(_id="x", evidences=[["a", "b", ""]]), "empty part"),
        (musique_row(paragraphs=[3]), "'paragraphs'"),
        (musique_row(question_decomposition=["x"]), "'question_decomposition'"),
        (musique_row(paragraphs=[]), "supporting paragraph 1 "),
        (musique_row(answer_aliases="Paree"), "'answer_aliases' must be a list"),
        (musique_row(answer_aliases=True), "'answer_aliases' must be a list"),
        (["a list"], "JSON object"),
        (None, "JSON object"),
        ({"strange": 1}, "'strange'"),
        ({"title": "Morvane", "text": "A town."}, "as a corpus"),
    ],
)
def test_a_bad_row_alone_is_the_users_error(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(UserError, match="row 1") as error:
        read_file(array(tmp_path / "a.json", row))
    assert message in str(error.value)


def test_a_bad_row_among_good_ones_is_left_out(tmp_path: Path) -> None:
    rows = [hotpotqa_row(), hotpotqa_row(), hotpotqa_row(_id="h2", answer=""), hotpotqa_row(_id="h3")]
    data = read_file(array(tmp_path / "a.json", *rows))
    assert [question.id for question in data.questions] == ["h1", "h3"]
    assert [problem.row for problem in data.problems] == [2, 3]
    assert "'h1' already stands" in data.problems[0].message
    assert str(data.problems[1]) == f"{tmp_path / 'a.json'}, row 3: field 'answer' is missing, empty or no text"


def test_a_broken_line_is_reported_with_its_number(tmp_path: Path) -> None:
    text = (
        json.dumps(musique_row())
        + "\n\n{broken\n"
        + "[" * 100_000
        + "\n"
        + json.dumps(musique_row(id="2hop__2_3"))[:-5]
    )
    (tmp_path / "a").write_text(text, "utf-8")
    data = read_file(tmp_path / "a")
    assert len(data.questions) == 1
    assert [problem.row for problem in data.problems] == [3, 4, 5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"[]", "holds no rows"),
        (b'[{"_id": "x",\n "question"', "line 2, column 12"),
        (b"[1] [2]", "line 1, column 5"),
        (b"[" * 100_000, "recursion"),
        (b"[" + b"9" * 5000 + b"]", "digits"),
        (b"hello", "row 1: column 1"),
        (b"\xff\xfe[\x00]\x00", "not UTF-8"),
        (b'[{"a": "\xe9"}]', "not UTF-8"),
        (b'{"answer": {"h1": "yes"}}', "its keys: 'answer'"),
    ],
)
def test_unusable_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json") as error:
        read_file(tmp_path / "a.json")
    assert message in str(error.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_file(path)


def test_odd_characters_do_not_crash(tmp_path: Path) -> None:
    text = '\ufeff[{"_id": "h\\u0000", "question": "Wh\\ud800o\\u2028?", "answer": "\\ud83d\\ude00",'
    text += '"context": [["T\\u0000", ["a\\udfff\\r\\n b"]]], "supporting_facts": [["T\\u0000", 0]]}]'
    (tmp_path / "a").write_text(text, "utf-8")
    data = read_file(tmp_path / "a")
    (question,) = data.questions
    assert (question.id, question.text, question.answer) == ("h", "Wh\ufffdo ?", "\U0001f600")
    assert data.passages[0].title == "T"
    assert data.passages[0].text == "a\ufffd b"


def test_hub_layout_and_name() -> None:
    calls = []

    def load(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        calls.append((name, config, split))
        row = hotpotqa_row(
            context={"title": ["Morvane", "Ona Brell"], "sentences": [["A town."], ["She was", " born."]]},
            supporting_facts={"title": ["Ona Brell", "Ona Brell"], "sent_id": [0, 1]},
        )
        row["id"] = row.pop("_id")
        return [row]

    data = read_hub("hub:some/hotpot:distractor:validation", load)
    assert data.questions[0].hops[0].statement == "She was born."
    read_hub("hub:some/hotpot::train[:500]", load)
    assert calls == [("some/hotpot", "distractor", "validation"), ("some/hotpot", None, "train[:500]")]


@pytest.mark.parametrize("name", ["hub:some/hotpot", "hub:some/hotpot:config", "hub::x:train", "hub:a/b:c:"])
def test_a_hub_name_must_say_the_split(name: str) -> None:
    with pytest.raises(UserError, match="split"):
        read(name)


def test_hub_failures_are_told() -> None:
    def load(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        raise ConnectionError("no route")

    with pytest.raises(UserError, match=r"hub:a/b::train.*no route"):
        read_hub("hub:a/b::train", load)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples of the public datasets are not here")
@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa", "musique"])
def test_published_files_read_whole(name: str) -> None:
    splits = find_splits([SAMPLES / name])
    for source in (*splits.train, *splits.evaluation):
        data = read(source)
        assert data.name == name
        assert data.problems == ()
        known = {passage.id for passage in data.passages}
        for question in data.questions:
            assert len(question.hops) >= 2
            for position, hop in enumerate(question.hops):
                assert hop.passage_id in known
                assert all(other < position for other in hop.depends_on)
                assert "\n" not in hop.statement
