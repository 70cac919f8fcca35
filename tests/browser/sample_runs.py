"""Run directories as the commands write them, made by hand: what stands on the pages is known beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluators.intervals import figures_of
from evaluators.scoring import default_scorers, score_chain
from steper_core.records import Chain, Hop, Passage, Question, Retrieved, Step, StopReason, ability_of
from steper_core.run_records import CheckpointRef, Rejection, RunKind, StudyRef, TrainPoint
from steper_core.rundir import open_run

DATASET = "2wikimultihopqa"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
QUESTIONS = 25
HOSTILE_NAME = "<img src=x onerror=alert(1)> **bold** $x^2$ :red[red]"
HOSTILE_TEXTS = (
    "<script>document.title='owned'</script><img src='https://evil.example/x.png' onerror=\"document.title='owned'\">",
    "# heading\n\n**bold** :red[red] :material/delete: $\\int_0^1 x^2$ [link](https://evil.example) ![i](https://evil.example/i.png)",
    "abc\u202egnp.exe\u202c and \u2066isolated\u2069, bell \x07, escape \x1b[31m",
    "שלום עולם، مرحبا بالعالم and back",
)
LONG = "word " * 20_000
_FILMS = (
    "The Glass Harbour",
    "Winter Signal",
    "A Field of Kites",
    "Paper Lanterns",
    "The Quiet Engine",
    "Red Meridian",
)
_PEOPLE = ("Ada Lindqvist", "Tomás Herrera", "Ines Kovač", "Oluwaseun Bello", "Hiroko Tanabe", "Paul Desmarais")
_CITIES = ("Malmö", "Valparaíso", "Zagreb", "Ibadan", "Kanazawa", "Sherbrooke")


def hop_passages(index: int) -> tuple[Passage, Passage, Passage]:
    """Film, director, and a passage that only looks right."""
    film, person, city = _names(index)
    return (
        Passage.of(
            f"{film} (film)", f"{film} is a {1950 + index} drama film directed by {person}. It was shot in {city}."
        ),
        Passage.of(person, f"{person} was a film director, born in {city} in {1900 + index}."),
        Passage.of(f"{film} (novel)", f"{film} is a novel that has nothing to do with the film of the same name."),
    )


def question(index: int) -> Question:
    """A two-hop question, every fifth one with a third hop."""
    film, person, city = _names(index)
    first, second, _ = hop_passages(index)
    hops = [
        Hop(
            question=f"Who directed {film}?",
            answer=person,
            statement=f"{film} was directed by {person}.",
            passage_id=first.id,
        ),
        Hop(
            question=f"Where was {person} born?",
            answer=city,
            statement=f"{person} was born in {city}.",
            passage_id=second.id,
            depends_on=(0,),
        ),
    ]
    return Question(
        id=f"q{index:03d}",
        dataset=DATASET,
        text=f"Where was the director of the film {film}, number {index}, born?",
        answer=city,
        aliases=(city.upper(),),
        kind="compositional" if index % 3 else "bridge_comparison",
        hops=tuple(hops if index % 5 else [*hops, _country_hop(city)]),
    )


def chain(index: int, *, right: bool, steps: int = 3) -> Chain:
    """A chain of `steps` steps that finds the answer, or takes a wrong turn at its first step."""
    film, person, city = _names(index)
    _, other, elsewhere = _names(index + 1)
    director, place = (person, city) if right else (other, elsewhere)
    lines = [
        f"The film {film} was directed by {director}.",
        *(f"{director} was born in {place}." for _ in range(steps - 2)),
        f"So the answer is: {place}.",
    ]
    asked = question(index)
    return Chain(
        question_id=asked.id,
        steps=tuple(_step(number, steps, lines, index, asked.text) for number in range(1, steps + 1)),
        answer=place,
        stop_reason=StopReason.ANSWERED if right else StopReason.FORCED,
    )


def hostile_question(index: int) -> tuple[Question, Chain, list[Passage]]:
    """A question all of whose texts try to do something to the page."""
    text = HOSTILE_TEXTS[index % len(HOSTILE_TEXTS)]
    passage = Passage.of(text, f"{text} {LONG}")
    asked = Question(
        id=f"hostile{index} {text[:20]}",
        dataset=DATASET,
        text=f"hostile {index} {text}",
        answer=text,
        aliases=(LONG,),
        kind="<b>kind</b>",
        hops=(Hop(question=text, answer=text, statement=text, passage_id=passage.id),),
    )
    step = Step(
        number=1,
        ability=ability_of(1, 1),
        query=LONG,
        retrieved=(Retrieved(passage_id=passage.id, rank=1, score=1.0),),
        rationale=f"{text} {LONG}",
        prompt_tokens=10,
        output_tokens=5,
        seconds=0.1,
    )
    return asked, Chain(question_id=asked.id, steps=(step,), answer=text, stop_reason=StopReason.ANSWERED), [passage]


def right_questions(method: str, count: int = QUESTIONS) -> set[int]:
    """Which questions a system answers."""
    step = {"base": 5, "vanilla-kd": 2, "steper": 3}[method]
    return {index for index in range(count) if (index % step == 0) == (method != "steper")}


def write_evaluation(
    folder: Path,
    name: str,
    method: str,
    *,
    seed: int = 0,
    count: int = QUESTIONS,
    hostile: int = 0,
    checkpoint: CheckpointRef | None = None,
    study: StudyRef | None = None,
    parameters: float = 134515008.0,
) -> None:
    """An evaluation run over the first `count` questions."""
    right = {index + (seed if method != "base" else 0) for index in right_questions(method, count)}
    chains = [chain(index, right=index in right, steps=3 + index % 2) for index in range(count)]
    bad = [hostile_question(index) for index in range(hostile)]
    questions = [question(index) for index in range(count)] + [asked for asked, _, _ in bad]
    chains += [answer for _, answer, _ in bad]
    passages = [p for index in range(count + 2) for p in hop_passages(index)] + [p for *_, each in bad for p in each]
    with open_run(
        folder / name,
        kind=RunKind.EVALUATE,
        config=_config(seed, checkpoint),
        dataset=DATASET,
        model=MODEL,
        method=method,
        framework="ircot",
        seed=seed,
        command=f"steper evaluate --name {name}",
        checkpoint=checkpoint,
        study=study,
    ) as run:
        run.write_questions(questions)
        run.append_passages([*passages, *(_extra_passages(count))])
        run.append_chains(chains)
        scorers = default_scorers({p.id: p for p in [*passages, *_extra_passages(count)]})
        asked_and_answered = zip(questions, chains, strict=True)
        scores = [s for asked, answer in asked_and_answered for s in score_chain(answer, asked, scorers)]
        run.append_scores(scores)
        figures = figures_of(scores, [asked.id for asked in questions])
        run.update(
            figures={key: figure.model_dump() for key, figure in figures.items()},
            counts={"stopped: answered": len(right), "stopped: forced": len(chains) - len(right)},
            facts={
                "parameters_total": parameters,
                "disk_bytes": 538e6,
                "seconds_per_question": 1.93,
                "steps_per_question": 3.2,
            },
        )


def write_studies(folder: Path) -> None:
    """A study of two methods with two seeds each beside the base, and one of two sizes, with one seed."""

    def part(study: tuple[str, str, str, str], place: int, variant: str) -> StudyRef:
        name, title, shows, paper = study
        return StudyRef(name=name, title=title, shows=shows, paper=paper, variant=variant, place=place)

    methods = ("methods", "Methods of distillation on the same chains", "methods", "main results")
    write_evaluation(folder, "methods-base-eval", "base", study=part(methods, 0, "base"))
    for place, method in enumerate(("vanilla-kd", "steper"), start=1):
        for seed in (0, 1):
            write_evaluation(
                folder, f"methods-{method}-s{seed}-eval", method, seed=seed, study=part(methods, place, method)
            )
    sizes = ("sizes", "Size of the student", "scaling", "")
    for place, (method, parameters) in enumerate((("vanilla-kd", 1.35e8), ("steper", 3.6e8))):
        write_evaluation(
            folder, f"sizes-{place}-eval", method, study=part(sizes, place, f"{place + 1}x"), parameters=parameters
        )


def write_training(
    folder: Path, name: str, method: str, *, seed: int = 0, sigmas: bool, steps: int = 120
) -> CheckpointRef:
    """A training run that logged every second step and measured held-out questions every thirtieth."""
    with open_run(
        folder / name,
        kind=RunKind.TRAIN,
        config=_config(seed, None),
        dataset=DATASET,
        model=MODEL,
        method=method,
        framework="ircot",
        seed=seed,
        command=f"steper train --name {name}",
    ) as run:
        for number in range(2, steps + 1, 2):
            run.append_train_point(_point(number, steps, seed, sigmas, held_out=False))
            if number % 30 == 0:
                run.append_train_point(_point(number, steps, seed, sigmas, held_out=True))
        run.update(
            counts={"examples": 412, "chains": 150, "cut": 3, "left_out": 1},
            facts={
                "best_step": float(steps),
                "training_seconds": 612.4,
                "tokens_per_second": 403.2,
                "disk_bytes": 1.6e9,
            },
        )
        return CheckpointRef(run_uid=run.info.uid, run_name=name, step=steps)


def write_collection(folder: Path, name: str) -> None:
    """A collect run that kept most chains and says why it left the others out."""
    with open_run(
        folder / name,
        kind=RunKind.COLLECT,
        config=_config(0, None),
        dataset=DATASET,
        model="gold",
        framework="ircot",
        command=f"steper collect --name {name}",
    ) as run:
        run.write_questions(question(index) for index in range(12))
        run.append_passages([p for index in range(14) for p in hop_passages(index)] + _extra_passages(12))
        run.append_chains(chain(index, right=True) for index in range(10))
        run.append_rejected(Rejection(reason="wrong answer", chain=chain(index, right=False)) for index in (10, 11))
        run.update(counts={"kept": 10, "rejected: wrong answer": 2})


def write_failure(folder: Path, name: str, why: str = "out of memory at step 12") -> None:
    """A run that failed after three questions."""
    try:
        with open_run(
            folder / name,
            kind=RunKind.EVALUATE,
            config=_config(3, None),
            dataset=DATASET,
            model=MODEL,
            method="steper",
            framework="ircot",
            seed=3,
            command=f"steper evaluate --name {name}",
        ) as run:
            run.write_questions(question(index) for index in range(3))
            run.append_passages([p for index in range(5) for p in hop_passages(index)] + _extra_passages(3))
            run.append_chains(chain(index, right=True) for index in range(3))
            raise RuntimeError(why)
    except RuntimeError:
        pass


def write_sample(folder: Path) -> None:
    """What the browser tests look at."""
    write_collection(folder, "teacher")
    write_training(folder, "vanilla-kd-s1", "vanilla-kd", seed=1, sigmas=False)
    weights = write_training(folder, "steper-s1", "steper", seed=1, sigmas=True)
    write_evaluation(folder, "eval-base", "base")
    write_evaluation(folder, "eval-vanilla-s1", "vanilla-kd", seed=1, checkpoint=weights)
    write_evaluation(folder, "eval-steper-s1", "steper", seed=1, checkpoint=weights)
    write_failure(folder, "eval-failed")
    write_evaluation(folder, HOSTILE_NAME, "base", count=2, hostile=len(HOSTILE_TEXTS))


def _names(index: int) -> tuple[str, str, str]:
    film = _FILMS[index % len(_FILMS)]
    numeral = f" {index // len(_FILMS) + 1}" if index >= len(_FILMS) else ""
    return (
        f"{film}{numeral}",
        _PEOPLE[(index * 5 + index // 6) % len(_PEOPLE)],
        _CITIES[(index * 5 + index // 6) % len(_CITIES)],
    )


def _country_hop(city: str) -> Hop:
    (passage,) = [each for each in _extra_passages(0) if each.title == city]
    return Hop(
        question=f"In which country is {city}?",
        answer="far away",
        statement=f"{city} is far away.",
        passage_id=passage.id,
        depends_on=(1,),
    )


def _extra_passages(_count: int) -> list[Passage]:
    return [Passage.of(city, f"{city} is a city, and far away from here.") for city in _CITIES]


def _step(number: int, count: int, lines: Sequence[str], index: int, text: str) -> Step:
    film, person, wrong = hop_passages(index)
    near = hop_passages(index + 1)
    found = {1: (film, wrong), 2: (person, near[1])}.get(number, (near[0],) if number < count else ())
    return Step(
        number=number,
        ability=ability_of(number, count),
        query=text if number == 1 else lines[number - 2],
        retrieved=tuple(
            Retrieved(passage_id=passage.id, rank=rank, score=round(14.2 / rank + number, 3))
            for rank, passage in enumerate(found, start=1)
        ),
        rationale=lines[number - 1],
        prompt_tokens=180 + 90 * number,
        output_tokens=len(lines[number - 1].split()) + 4,
        seconds=0.31 + 0.17 * number,
    )


def _point(number: int, steps: int, seed: int, sigmas: bool, *, held_out: bool) -> TrainPoint:
    progress = number / steps
    noise = 0.0 if held_out else 0.06 * math.sin(number * (1.7 + seed))
    losses = {
        "initialization": 0.4 + 1.6 * math.exp(-4 * progress) + noise,
        "expansion": 0.55 + 2.1 * math.exp(-3 * progress) + noise,
        "aggregation": 0.15 + 1.1 * math.exp(-6 * progress) + noise / 2,
    }
    learned = {
        "initialization": 1.0 - 0.2 * progress,
        "expansion": 1.0 + 0.1 * progress,
        "aggregation": 1.0 - 0.5 * progress,
    }
    return TrainPoint(
        step=number,
        epoch=2 * progress,
        losses=losses,
        sigmas=learned if sigmas and not held_out else {},
        learning_rate=None if held_out else 5e-5 * (1 - progress),
        tokens_per_second=None if held_out else 400 + 12 * math.cos(number),
        held_out=held_out,
    )


def _config(seed: int, checkpoint: CheckpointRef | None) -> dict[str, Any]:
    return {
        "seed": seed,
        "retrieval": {"method": "bm25", "passages": 2},
        "reasoning": {"framework": "ircot", "max_steps": 4, "max_new_tokens": 64, "demonstrations": 3},
        "checkpoint": checkpoint.model_dump(mode="json") if checkpoint else None,
    }
