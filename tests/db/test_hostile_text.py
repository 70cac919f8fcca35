"""Text of models may hold anything: it comes back as it went in, but for what no database can hold."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.clean import clean, clean_json
from db.ingest import ingest
from db.manage import delete_run
from db.queries import get_question, list_questions, list_runs
from steper_core.records import Passage
from steper_core.run_records import RunKind
from steper_core.rundir import open_run

from .samples import make_chain, make_question, make_score

HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    ["\x00", "a\x00b", "'; DROP TABLE runs; --", "%_/\\", "\u202eabc", "İstanbul ß ſ", "\N{PILE OF POO}", "%(name)s ?"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(HOSTILE, min_size=6, max_size=6))
def test_hostile_text_comes_back_as_it_went_in(engine: sa.Engine, tmp_path: Path, texts: list[str]) -> None:
    title, body, asked, answer, rationale, name = texts
    passage = Passage.of(title, body)
    chain = make_chain("a", steps=1, answer=answer, hits=[passage])
    step = chain.steps[0].model_copy(update={"rationale": rationale, "query": asked})
    path = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
    with open_run(path, kind=RunKind.EVALUATE, config={"x": name}, dataset=name, model=name, command=name) as run:
        run.write_questions([make_question("a", text=asked, answer=answer, aliases=(title,), kind=name)])
        run.append_passages([passage])
        run.append_chains([chain.model_copy(update={"steps": (step,)})])
        run.append_scores([make_score("a", None, name, reason=rationale, evaluator=name, version=name)])
    run_id = ingest(engine, path).run_id
    (row,) = list_questions(engine, (run_id,)).rows
    view = get_question(engine, row.id, (run_id,))
    assert view is not None
    (stored,) = view.chains
    assert stored is not None
    assert (view.text, view.answer) == (clean(asked), clean(answer))
    assert stored.answer == clean(answer)
    assert (stored.steps[0].query, stored.steps[0].rationale) == (clean(asked), clean(rationale))
    assert [(hit.title, hit.text) for hit in stored.steps[0].passages] == [(clean(title), clean(body))]
    assert [(score.name, score.reason) for score in stored.scores] == [(clean(name), clean(rationale))]
    run_row = next(run_row for run_row in list_runs(engine) if run_row.id == run_id)
    assert (run_row.dataset, run_row.config) == (clean(name), {"x": clean(name)})
    delete_run(engine, run_id)


def test_cleaning_replaces_only_what_cannot_be_stored() -> None:
    assert clean("a\x00b\ud800c\udfff é") == "a\ufffdb\ufffdc\ufffd é"
    assert clean("plain") == "plain"
    assert clean_json({"k\x00": ["\x00", 1, 2.5, None, True, float("nan"), {"x": float("inf")}]}) == {
        "k\ufffd": ["\ufffd", 1, 2.5, None, True, None, {"x": None}]
    }
