"""BM25 over summed fields, checked against brute force; ties, seen passages, and stored indexes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import bm25s
import numpy as np
import pytest
import Stemmer

from steper_core.errors import UserError
from steper_core.records import Passage, Retrieved
from steper_core.retrieval import IndexSettings, Retriever, check_top_k, open_retriever

WORDS = (
    *("amber", "birch", "canal", "delta", "ember", "field", "grove"),
    *("haven", "island", "jetty", "kettle", "lantern", "meadow", "north", "orchard"),
)


def corpus(count: int = 60, seed: int = 1) -> list[Passage]:
    draw = random.Random(seed)
    return [
        Passage.of(" ".join(draw.choices(WORDS, k=2)) + f" t{number}", " ".join(draw.choices(WORDS, k=12)))
        for number in range(count)
    ]


def found(retriever: Retriever, query: str, top_k: int = 5, seen: tuple[str, ...] = ()) -> list[Retrieved]:
    return list(retriever.search([query], top_k, [seen])[0].fresh)


def titles(retriever: Retriever, hits: list[Retrieved]) -> list[str]:
    return [retriever.passages[hit.passage_id].title for hit in hits]


def brute_force(passages: list[Passage], query: str, settings: IndexSettings) -> np.ndarray:
    """Scores of two separate indexes, one over titles and one over texts, added."""
    stemmer = Stemmer.Stemmer("english")
    total = np.zeros(len(passages))
    for texts in ([p.title for p in passages], [p.text for p in passages]):
        index = bm25s.BM25(method="lucene", k1=settings.k1, b=settings.b)
        index.index(
            bm25s.tokenize(texts, stopwords="english", stemmer=stemmer, show_progress=False), show_progress=False
        )
        words = bm25s.tokenize([query], stopwords="english", stemmer=stemmer, return_ids=False, show_progress=False)[0]
        known = [word for word in words if word in index.vocab_dict]
        if known:
            total += index.get_scores(known)
    return total


@pytest.mark.parametrize("settings", [IndexSettings(), IndexSettings(k1=0.9, b=0.4)])
@pytest.mark.parametrize(
    "query", ["amber canal", "The lanterns of the meadow?", "grove grove t7 unheard", "north " * 4 + "ember", "t3"]
)
def test_scores_are_those_of_a_title_and_a_text_index_added(query: str, settings: IndexSettings) -> None:
    passages = corpus()
    expected = brute_force(passages, query, settings)
    order = [int(i) for i in np.lexsort((np.arange(60), -expected.round(6))) if expected[i] > 0]
    hits = found(Retriever.build(passages, settings), query, top_k=60)
    assert [hit.passage_id for hit in hits] == [passages[i].id for i in order]
    assert [hit.score for hit in hits] == pytest.approx([expected[i] for i in order], abs=1e-3)
    assert [hit.rank for hit in hits] == list(range(1, len(order) + 1))


def test_a_word_in_the_title_alone_and_in_the_text_alone_is_found() -> None:
    passages = [Passage.of("Amber", "grove"), Passage.of("Birch", "amber"), Passage.of("Canal", "delta")]
    retriever = Retriever.build(passages)
    assert sorted(titles(retriever, found(retriever, "amber"))) == ["Amber", "Birch"]


def test_queries_are_stemmed_and_lower_cased_like_the_index() -> None:
    retriever = Retriever.build([Passage.of("x", "She painted lanterns."), Passage.of("y", "He runs a mill.")])
    assert titles(retriever, found(retriever, "PAINTING a Lantern")) == ["x"]
    assert titles(retriever, found(retriever, "running")) == ["y"]


@pytest.mark.parametrize("top_k", [1, 3, 40, 130])
def test_ties_keep_the_order_of_the_corpus_also_when_many_tie(top_k: int) -> None:
    tied = [Passage.of(f"t{number}", "amber birch") for number in range(150)]
    better = Passage.of("best", "amber amber")
    retriever = Retriever.build([*tied[:90], better, *tied[90:]])
    expected = ["best", *(passage.title for passage in tied)][:top_k]
    assert titles(retriever, found(retriever, "amber", top_k)) == expected


def test_seen_passages_among_ties_are_passed_over_in_order() -> None:
    tied = [Passage.of(f"t{number}", "amber birch") for number in range(150)]
    retriever = Retriever.build(tied)
    seen = tuple(passage.id for passage in tied[:120])
    hits = found(retriever, "amber", 3, seen)
    assert titles(retriever, hits) == ["t120", "t121", "t122"]
    assert [hit.rank for hit in hits] == [1, 2, 3]


def test_seen_passages_never_return_and_the_next_best_take_their_place() -> None:
    retriever = Retriever.build(corpus())
    everything = found(retriever, "amber canal", 60)
    first = found(retriever, "amber canal", 4)
    second = found(retriever, "amber canal", 4, tuple(hit.passage_id for hit in first))
    assert [(hit.passage_id, hit.score) for hit in first + second] == [
        (hit.passage_id, hit.score) for hit in everything[:8]
    ]
    assert [hit.rank for hit in second] == [1, 2, 3, 4]
    assert found(retriever, "amber canal", 4, tuple(hit.passage_id for hit in everything)) == []


def test_without_refilling_seen_passages_leave_their_places_empty() -> None:
    retriever = Retriever.build(corpus())
    first, second, third = (hit.passage_id for hit in found(retriever, "amber canal", 3))
    (hits,) = retriever.search(["amber canal"], 3, [(second, "elsewhere")], refill=False)
    assert [(hit.passage_id, hit.rank) for hit in hits.fresh] == [(first, 1), (third, 2)]
    assert hits.duplicates == 1
    (none,) = retriever.search(["amber canal"], 2, [(first, second)], refill=False)
    assert (none.fresh, none.duplicates) == ((), 2)


@pytest.mark.parametrize("query", ["", "   ", "the of and", "zzz qqq", "?!"])
def test_a_query_without_a_known_word_finds_nothing(query: str) -> None:
    assert found(Retriever.build(corpus()), query) == []


def test_passages_without_a_word_of_the_query_are_not_returned() -> None:
    retriever = Retriever.build([Passage.of("a", "amber"), Passage.of("b", "birch"), Passage.of("c", "canal")])
    assert titles(retriever, found(retriever, "birch", 3)) == ["b"]


def test_a_batch_equals_single_searches() -> None:
    retriever = Retriever.build(corpus())
    draw = random.Random(5)
    queries = [" ".join(draw.choices(WORDS, k=3)) for _ in range(12)] + ["", "zzz"]
    seen = [
        tuple(hit.passage_id for hit in found(retriever, query, number % 4)) for number, query in enumerate(queries)
    ]
    batch = retriever.search(queries, 3, seen)
    assert [list(hits.fresh) for hits in batch] == [
        found(retriever, query, 3, known) for query, known in zip(queries, seen, strict=True)
    ]
    assert retriever.search([], 3, []) == []


def test_what_the_top_k_holds_of_seen_passages_is_counted() -> None:
    birches = [Passage.of(f"t{number}", "birch " * (5 - number) + "canal " * number) for number in range(4)]
    retriever = Retriever.build(birches)
    first, second, third, _ = (hit.passage_id for hit in found(retriever, "birch", 4))
    hits = retriever.search(["birch"], 2, [(second, third)])[0]
    assert hits.fresh[0].passage_id == first
    assert hits.duplicates == 1  # the second best; the third best is not among the top 2


def test_a_saved_index_gives_equal_results(tmp_path: Path) -> None:
    passages = corpus()
    built = Retriever.build(passages)
    built.save(tmp_path / "index")
    loaded = Retriever.load(tmp_path / "index", passages)
    for query in ("amber canal", "lanterns", "t7", "the", "zzz"):
        assert found(loaded, query, 8) == found(built, query, 8)


def test_an_index_of_another_corpus_or_of_other_settings_is_refused(tmp_path: Path) -> None:
    passages = corpus()
    Retriever.build(passages).save(tmp_path / "index")
    with pytest.raises(UserError, match="built with another corpus; delete it"):
        Retriever.load(tmp_path / "index", passages[::-1])
    with pytest.raises(UserError, match="built with another settings; delete it"):
        Retriever.load(tmp_path / "index", passages, IndexSettings(k1=1.2))
    with pytest.raises(UserError, match="holds no index of this program"):
        Retriever.load(tmp_path / "none", passages)


def test_an_index_whose_stored_tokenizer_differs_is_refused(tmp_path: Path) -> None:
    passages = corpus()
    Retriever.build(passages).save(tmp_path / "index")
    file = tmp_path / "index" / "steper.json"
    stored = json.loads(file.read_text("utf-8"))
    assert stored["settings"]["stemmer"] == "english"
    stored["settings"]["stemmer"] = "none"
    file.write_text(json.dumps(stored), "utf-8")
    with pytest.raises(UserError, match="another settings"):
        Retriever.load(tmp_path / "index", passages)


def test_an_index_is_kept_and_read_again_for_its_corpus_and_settings_only(tmp_path: Path) -> None:
    passages = corpus()
    first = open_retriever(passages, IndexSettings(), tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    mark = folder / "mark"
    mark.touch()
    again = open_retriever(passages, IndexSettings(), tmp_path / "cache")
    assert mark.exists() and found(again, "amber") == found(first, "amber")
    open_retriever(passages, IndexSettings(b=0.5), tmp_path / "cache")
    open_retriever(passages[:-1], IndexSettings(), tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("name", ["data.csc.index.npy", "vocab.index.json", "params.index.json"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_index_is_named(tmp_path: Path, name: str, share: float) -> None:
    passages = [Passage.of("Morvane", "A town."), Passage.of("Tiv", "A lake.")]
    open_retriever(passages, IndexSettings(), tmp_path)
    (folder,) = tmp_path.iterdir()
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="delete it to have it built again"):
        open_retriever(passages, IndexSettings(), tmp_path)


def test_an_index_that_another_process_built_first_is_left_to_its_readers(tmp_path: Path) -> None:
    passages = [Passage.of("Morvane", "A town.")]
    open_retriever(passages, IndexSettings(), tmp_path)
    (folder,) = tmp_path.iterdir()
    before = folder.stat().st_ino
    Retriever.build(passages, IndexSettings()).save(folder)
    assert folder.stat().st_ino == before and list(tmp_path.iterdir()) == [folder]


def test_an_empty_corpus_is_an_error() -> None:
    with pytest.raises(UserError, match="the corpus is empty"):
        Retriever.build([])


@pytest.mark.parametrize("text", ["the of and", "", "?!"])
def test_a_corpus_without_a_searchable_word_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="no searchable word"):
        Retriever.build([Passage.of("the", text), Passage.of("", "of")])


def test_a_corpus_without_titles_is_searched_by_its_texts() -> None:
    passages = [Passage.of("", "amber grove"), Passage.of("", ""), Passage.of("", "birch")]
    assert [hit.passage_id for hit in found(Retriever.build(passages), "amber")] == [passages[0].id]


def test_a_step_may_ask_for_at_most_the_whole_corpus() -> None:
    check_top_k(3, 3)
    with pytest.raises(UserError, match=r"retrieval\.top_k = 4 is larger than the corpus of 3 passages; .*at most 3"):
        check_top_k(4, 3)


def test_more_passages_than_there_are_give_all_that_match() -> None:
    retriever = Retriever.build([Passage.of("a", "amber"), Passage.of("b", "amber birch")])
    assert titles(retriever, found(retriever, "amber", 50)) == ["a", "b"]
