"""BM25 over title and text: a passage's score is the sum of its scores as a title and as a text.

Summed fields find more than concatenated ones, and stemming the index but not the queries costs about 10 points of
recall. So both fields go into one bm25s index by joining their columns, and the tokenizer's settings are stored with
the index and checked when it is loaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from steper_core.errors import UserError
from steper_core.records import Passage, Retrieved

_SETTINGS_FILE = "steper.json"
_TIE_MARGIN = 32
logging.getLogger("bm25s").setLevel(logging.WARNING)


@dataclass(frozen=True)
class IndexSettings:
    """Everything that decides a score. `version` grows when the meaning of a setting changes."""

    k1: float = 1.5
    b: float = 0.75
    method: str = "lucene"
    stopwords: str = "english"
    stemmer: str = "english"
    version: int = 1


@dataclass(frozen=True)
class Hits:
    """What a search found: the best `fresh` passages, and how many of the query's top K had been seen before."""

    fresh: tuple[Retrieved, ...] = ()
    duplicates: int = 0


class Retriever:
    """Searches one corpus. Build it with `build` or `load`."""

    def __init__(self, passages: Sequence[Passage], settings: IndexSettings, index: Any) -> None:
        self.passages = {passage.id: passage for passage in passages}
        self.settings = settings
        self._ids = [passage.id for passage in passages]
        self._index = index

    @classmethod
    def build(cls, passages: Sequence[Passage], settings: IndexSettings = IndexSettings()) -> Retriever:
        """Index a corpus.

        Raises:
            UserError: the corpus is empty, or holds no word that could be searched.
        """
        if not passages:
            raise UserError("the corpus is empty: give files with passages, or a JSONL corpus of {title, text}")
        fields = {"title": [p.title for p in passages], "text": [p.text for p in passages]}
        columns = []
        for name, texts in fields.items():
            tokens = _tokenize(texts, settings)
            if any(tokens):
                columns.append(_index_field(name, tokens, settings))
        if not columns:
            raise UserError("the corpus holds no searchable word: every title and text is empty or made of stop words")
        return cls(passages, settings, _join(columns, settings))

    def search(
        self, queries: Sequence[str], top_k: int, seen: Sequence[Collection[str]], *, refill: bool = True
    ) -> list[Hits]:
        """For each query the `top_k` best passages that are not in its `seen` ids, best first.

        Without `refill` those of the `top_k` best that are not in `seen`: nothing takes the place of the others.
        Passages that share no word with the query are never returned; equal scores keep the corpus' order.
        """
        if not queries:
            return []
        wanted = [min(top_k + (len(known) if refill else 0), len(self._ids)) for known in seen]
        found = self._rank(queries, wanted)
        results = []
        for ranking, known in zip(found, seen, strict=True):
            fresh = [(self._ids[place], score) for place, score in ranking if self._ids[place] not in known][:top_k]
            results.append(
                Hits(
                    tuple(
                        Retrieved(passage_id=key, rank=n, score=round(score, 4))
                        for n, (key, score) in enumerate(fresh, 1)
                    ),
                    sum(self._ids[place] in known for place, _ in ranking[:top_k]),
                )
            )
        return results

    def save(self, folder: Path) -> None:
        """Write the index with its settings and the corpus' digest."""
        partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
        self._index.save(str(partial), show_progress=False)
        stored = {"settings": asdict(self.settings), "corpus": corpus_digest(list(self.passages.values()))}
        (partial / _SETTINGS_FILE).write_text(json.dumps(stored, indent=1), "utf-8")
        try:
            partial.rename(folder)
        except OSError:
            shutil.rmtree(partial)  # another process was first, and a third may be reading its index

    @classmethod
    def load(cls, folder: Path, passages: Sequence[Passage], settings: IndexSettings = IndexSettings()) -> Retriever:
        """Read an index that was saved for this corpus with these settings.

        Raises:
            UserError: the folder holds no index, or one of another corpus or of other settings.
        """
        try:
            stored = json.loads((folder / _SETTINGS_FILE).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no index of this program; delete it to have it built again") from error
        expected = {"settings": asdict(settings), "corpus": corpus_digest(passages)}
        for part, value in expected.items():
            if stored.get(part) != value:
                raise UserError(f"{folder} was built with another {part}; delete it to have it built again")
        try:
            index = bm25s.BM25.load(str(folder), load_corpus=False, backend="numba")
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            raise UserError(f"{folder} holds a damaged index; delete it to have it built again") from error
        return cls(passages, settings, index)

    def _rank(self, queries: Sequence[str], wanted: Sequence[int]) -> list[list[tuple[int, float]]]:
        vocabulary = self._index.vocab_dict
        tokens = [
            [vocabulary[key] for word in words for key in (f"title:{word}", f"text:{word}") if key in vocabulary]
            for words in _tokenize(list(queries), self.settings)
        ]
        known = [place for place, ids in enumerate(tokens) if ids]
        results: list[list[tuple[int, float]]] = [[] for _ in queries]
        if not known:
            return results
        depth = min(max(wanted) + _TIE_MARGIN, len(self._ids))
        places, scores = self._index.retrieve(
            [tokens[place] for place in known], k=depth, show_progress=False, n_threads=0, backend_selection="numba"
        )
        for row, place in enumerate(known):
            results[place] = self._settle_ties(tokens[place], places[row], scores[row], wanted[place])
        return results

    def _settle_ties(
        self, tokens: list[int], places: NDArray[Any], scores: NDArray[Any], wanted: int
    ) -> list[tuple[int, float]]:
        # Passages that tie with the last one may lie beyond the margin; only then are all scores looked at.
        tied_beyond = len(places) < len(self._ids) and scores[-1] == scores[wanted - 1] and scores[-1] > 0
        if tied_beyond:
            scores = self._index.get_scores_from_ids(tokens)
            places = np.arange(len(scores))
        order = np.lexsort((places, -scores))[:wanted]
        return [(int(places[i]), float(scores[i])) for i in order if scores[i] > 0]


def check_top_k(top_k: int, corpus_size: int) -> None:
    """Raise a UserError if a step would ask for more passages than there are."""
    if top_k > corpus_size:
        raise UserError(
            f"retrieval.top_k = {top_k} is larger than the corpus of {corpus_size} passages; "
            f"set it to at most {corpus_size} or give a larger corpus"
        )


def open_retriever(passages: Sequence[Passage], settings: IndexSettings, cache: Path) -> Retriever:
    """The retriever of a corpus, read from `cache` if it is there and written there if not."""
    key = hashlib.blake2b(json.dumps(asdict(settings)).encode(), digest_size=4).hexdigest()
    folder = cache / f"{corpus_digest(passages)}-{key}"
    if folder.exists():
        return Retriever.load(folder, passages, settings)
    retriever = Retriever.build(passages, settings)
    cache.mkdir(parents=True, exist_ok=True)
    retriever.save(folder)
    return retriever


def corpus_digest(passages: Sequence[Passage]) -> str:
    """A digest of the passages' ids, titles and texts in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for passage in passages:
        digest.update(f"{passage.id}\x00{passage.title}\x00{passage.text}\x01".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _tokenize(texts: list[str], settings: IndexSettings) -> list[list[str]]:
    return bm25s.tokenize(  # type: ignore[no-any-return]
        texts,
        lower=True,
        stopwords=settings.stopwords,
        stemmer=Stemmer.Stemmer(settings.stemmer),
        return_ids=False,
        show_progress=False,
    )


def _index_field(name: str, tokens: list[list[str]], settings: IndexSettings) -> Any:
    index = bm25s.BM25(method=settings.method, k1=settings.k1, b=settings.b)
    index.index(tokens, show_progress=False)
    index.vocab_dict = {f"{name}:{word}": place for word, place in index.vocab_dict.items() if word}
    return index


def _join(columns: list[Any], settings: IndexSettings) -> Any:
    """One index whose score matrix (documents x words, stored by column) holds the columns of all fields."""
    joined = bm25s.BM25(method=settings.method, k1=settings.k1, b=settings.b, backend="numba")
    parts = [index.scores for index in columns]
    offsets = np.cumsum([0] + [len(part["data"]) for part in parts])
    joined.scores = {
        "data": np.concatenate([part["data"] for part in parts]),
        "indices": np.concatenate([part["indices"] for part in parts]),
        "indptr": np.concatenate(
            [part["indptr"][:-1] + offset for part, offset in zip(parts, offsets, strict=False)] + [offsets[-1:]]
        ).astype(parts[0]["indptr"].dtype),
        "num_docs": parts[0]["num_docs"],
    }
    widths = np.cumsum([0] + [len(part["indptr"]) - 1 for part in parts])
    joined.vocab_dict = {
        word: place + int(width)
        for index, width in zip(columns, widths, strict=False)
        for word, place in index.vocab_dict.items()
    }
    joined.unique_token_ids_set = set(joined.vocab_dict.values())
    joined.nonoccurrence_array = None
    return joined
