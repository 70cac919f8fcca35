"""What a student learned from, held against what it is asked."""

from __future__ import annotations

from pathlib import Path

from app.taught import also_learned, taught_otherwise
from app.training import not_learned, unasked
from steper_core.config import Recipe, load_recipe
from steper_core.material import Material
from steper_core.records import Ability, Chain, Question, Step, StopReason
from steper_core.run_records import RunKind
from steper_core.rundir import RunDir, open_run


def question(name: str) -> Question:
    return Question(id=name, dataset="d", text=f"What is {name}?", answer="x")


def chain(name: str) -> Chain:
    step = Step(
        number=1,
        ability=Ability.AGGREGATION,
        query="?",
        retrieved=(),
        rationale="So the answer is: x",
        prompt_tokens=1,
        output_tokens=1,
        seconds=0.0,
    )
    return Chain(question_id=name, steps=(step,), answer="x", stop_reason=StopReason.ANSWERED)


def collected(runs: Path, config: dict[str, object]) -> RunDir:
    """A collect run that asked q0 to q4 and kept the chains of all but the last."""
    with open_run(runs / "gold", kind=RunKind.COLLECT, config=config, dataset="d", model="gold") as run:
        run.write_questions(question(f"q{number}") for number in range(5))
        run.append_chains(chain(f"q{number}") for number in range(4))
    return run


def student_of(runs: Path, config: dict[str, object], name: str = "student") -> RunDir:
    with open_run(runs / name, kind=RunKind.TRAIN, config=config, dataset="d", model="m") as run:
        pass
    return run


def test_a_student_that_was_taught_otherwise_is_told(tmp_path: Path) -> None:
    def config(recipe: Recipe) -> dict[str, object]:
        return recipe.model_dump(mode="json", include={"retrieval", "reasoning"})

    gold = collected(tmp_path, config(load_recipe("demo", ["retrieval.top_k=4"])))
    student = student_of(tmp_path, {"teacher_run": gold.info.uid})

    def told(*overrides: str) -> str | None:
        return taught_otherwise(student, tmp_path, load_recipe("demo", overrides))

    assert told("retrieval.top_k=4", "worlds.seed=9", "reasoning.window=3") is None
    said = told("retrieval.top_k=2", "reasoning.framework=rag") or ""
    assert "chains with retrieval.top_k=4, reasoning.framework=ircot and is asked with retrieval.top_k=2" in said
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").touch()
    stray = student_of(tmp_path, {"teacher_run": "gone"}, "stray")
    assert taught_otherwise(stray, tmp_path, load_recipe("demo")) is None


def test_how_chains_of_a_file_were_made_is_not_known(tmp_path: Path) -> None:
    gold = collected(tmp_path, {"chains": "mine.jsonl", "retrieval": {"top_k": 9}})
    student = student_of(tmp_path, {"teacher_run": gold.info.uid})
    assert taught_otherwise(student, tmp_path, load_recipe("demo")) is None


def test_questions_that_a_student_may_have_learned_from_are_counted(tmp_path: Path) -> None:
    def asking(*names: str) -> Material:
        return Material("d", (), (question("q1"),), tuple(map(question, names)), ())

    gold = collected(tmp_path, {})
    own = asking("q0", "new")
    student = student_of(tmp_path, {"teacher_run": gold.info.uid, "not_learned": not_learned(own, unasked(own, gold))})
    # Its own material left q0 out of the training; q4 was asked of the teacher and not kept.
    assert also_learned(student.info.uid, tmp_path, own) == 0
    assert also_learned(student.info.uid, tmp_path, asking("q2", "q3", "q4", "new")) == 2
    assert also_learned("gone", tmp_path, asking("q2")) == 0
