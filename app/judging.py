"""Judging a run: what it will take, the votes in a run directory of their own, and scores for the judged run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.console import Console, percent
from app.scoring import refresh_figures
from evaluators.agreement import raw_agreement
from evaluators.intervals import figures_of
from evaluators.judge import Call, Judge, is_final, place_of, tokens_of
from evaluators.judge_cache import AnswerCache
from evaluators.judge_prompts import Item, Prompter, items_of
from evaluators.judge_scores import Judged, evaluator_name, latest, scores_of, vote_ratings
from evaluators.judge_server import JudgeServer, Traits
from evaluators.prices import Price
from evaluators.rubric import Rubric
from steper_core.digests import digest_of
from steper_core.errors import UserError
from steper_core.records import Chain, Judgement, Passage, Question, Score
from steper_core.run_records import Figure, RunKind, RunStatus
from steper_core.rundir import RunDir, add_scores, hold_run, open_run

CACHE_FOLDER = ".judge-cache"
_PATIENCE = 300.0
"""Seconds."""

_REASONS_SHOWN = 5
_LONGEST_NAME = 200

_Subject = tuple[str, int | None, str, str]


@dataclass(frozen=True)
class Order:
    """What is to be judged, by which rubric and server, how often, and into which run."""

    run: RunDir
    rubric: Rubric
    server: JudgeServer
    path: Path
    cache: Path
    against: RunDir | None = None
    votes: int = 1
    limit: int | None = None
    concurrency: int = 16
    price: Price | None = None
    command: str = ""

    @property
    def runs(self) -> tuple[RunDir, ...]:
        """The judged run, and its rival where there is one."""
        return (self.run,) if self.against is None else (self.run, self.against)

    @property
    def evaluator(self) -> str:
        """The evaluator that the scores carry."""
        return evaluator_name(self.server.model, self.against.info.name if self.against else None)


@dataclass(frozen=True)
class _Work:
    """The chains to judge, all votes on them, the judge who gives them, and the scores that the run has already."""

    judged: list[Judged]
    calls: list[Call]
    judge: Judge
    present: dict[_Subject, Score]


def judge_run(order: Order, console: Console, confirm: Callable[[str], bool]) -> RunDir | None:
    """Say what judging takes, ask, judge what is not judged yet, and add the scores to the judged run.

    None if `confirm` says no. It is not asked where no call is needed.

    Raises:
        UserError: runs that cannot be judged, a judge run of that name with other settings, or a server that cannot be
            reached or refuses.
    """
    _check(order)
    with AnswerCache(order.cache) as cache:
        work = _plan(order, cache, console)
        done = {place_of(each) for each in RunDir(order.path).judgements() if is_final(each)}
        pending = [call for call in work.calls if call.place not in done]
        missing = _announce(order, work, pending, cache, console)
        if missing and not confirm(f"make {missing:,} calls?"):
            return None
        info = order.run.info
        with open_run(
            order.path,
            kind=RunKind.JUDGE,
            config=_config(order),
            dataset=info.dataset,
            model=order.server.model,
            seed=info.seed,
            command=order.command,
            judged=tuple(each.info.uid for each in order.runs),
        ) as run:
            run.write_questions(each.question for each in work.judged)
            asked = _judge(run, work, pending, order, console)
            scores = _finish(run, order, work, console)
    _report(run, order, work, scores, asked, console)
    if work.calls and not any(is_final(each) for each in run.judgements()):
        raise UserError(f"{order.server.url} answered none of the calls; the same command asks again")
    return run


def default_name(run: str, rubric: str, model: str, against: str | None) -> str:
    """The name of a judge run: what is judged, by which rubric and model, in characters that any file system takes."""
    parts = ["judge", run, rubric, *([f"against-{against}"] if against else []), model]
    kept = ("".join(letter if letter.isalnum() or letter in "._" else "-" for letter in part) for part in parts)
    name = "-".join(part.strip("-.") for part in kept)
    # Most file systems take 255 bytes.
    return name if len(name.encode()) <= _LONGEST_NAME else f"{name[:40]}-{digest_of({'name': name})}"


def _check(order: Order) -> None:
    if (order.rubric.scope == "pair") != (order.against is not None):
        raise UserError(
            f"the rubric {order.rubric.name!r} compares two runs: name the other one with --against"
            if order.against is None
            else f"the rubric {order.rubric.name!r} judges one run: leave --against out"
        )
    for run in order.runs:
        if run.info.kind not in (RunKind.EVALUATE, RunKind.COLLECT):
            raise UserError(f"{run.path} has no chains to judge: it is a {run.info.kind.value} run")
        if run.info.status is RunStatus.RUNNING:
            raise UserError(f"{run.path} is still being worked on; judge it when it is finished")
    if order.against is not None and order.against.info.uid == order.run.info.uid:
        raise UserError("a run cannot be compared with itself")


def _plan(order: Order, cache: AnswerCache, console: Console) -> _Work:
    questions = {question.id: question for question in order.run.questions()}
    chains = {chain.question_id: chain for chain in order.run.chains()}
    rivals = {chain.question_id: chain for chain in order.against.chains()} if order.against else None
    for run in order.runs:
        if run.info.status is not RunStatus.FINISHED:
            console.warn(f"{run.path.name} is not finished: only the chains it has so far are judged")
    judged = [Judged(questions[key], chains[key]) for key in questions if key in chains]
    if rivals is not None and order.against is not None:
        asked = {_identity(question) for question in order.against.questions()}
        shared = [each for each in judged if each.question.id in rivals and _identity(each.question) in asked]
        if len(shared) < max(len(judged), len(rivals)):
            console.warn(f"the two runs share {len(shared)} questions (of {len(judged)} and {len(rivals)})")
        judged = shared
    judged = judged[: order.limit]
    if not judged:
        raise UserError(
            f"{order.run.path} has no chains to judge" + (f" against {order.against.path}" if order.against else "")
        )
    judge = Judge(
        order.rubric, order.server, cache, Prompter(order.rubric, _passages(order)), concurrency=order.concurrency
    )
    items = [item for each in judged for item in _items(order.rubric, each, rivals)]
    present = {_subject(score): score for score in order.run.scores()}
    return _Work(judged, judge.plan(items, order.votes), judge, present)


def _identity(question: Question) -> tuple[str, ...]:
    """What makes two questions one: two sets of questions may number theirs alike."""
    return question.id, question.dataset, question.text, question.answer


def _items(rubric: Rubric, judged: Judged, rivals: Mapping[str, Chain] | None) -> Sequence[Item]:
    rival = rivals[judged.question.id] if rivals is not None else None
    return items_of(rubric, judged.question, judged.chain, rival)


def _passages(order: Order) -> dict[str, Passage]:
    return {passage.id: passage for run in order.runs for passage in run.passages()}


def _config(order: Order) -> dict[str, Any]:
    return {
        "runs": _named(order),
        "rubric": {"name": order.rubric.name, "version": order.rubric.version, "digest": order.rubric.digest},
        "model": order.server.model,
        "base_url": order.server.url,
        "votes": order.votes,
        "generation": asdict(order.server.settings),
        "limit": order.limit,
    }


def _named(order: Order) -> list[dict[str, str]]:
    """The judged runs by the names that they had when the judging began."""
    now = [{"uid": run.info.uid, "name": run.info.name} for run in order.runs]
    before: Any = RunDir(order.path).info.config.get("runs") if (order.path / "run.json").exists() else None
    same = isinstance(before, list) and [each.get("uid") for each in before] == [each["uid"] for each in now]
    return before if same else now


def _announce(order: Order, work: _Work, pending: Sequence[Call], cache: AnswerCache, console: Console) -> int:
    """Print what is to be done; return how many calls it takes."""
    known = cache.known([call.key for call in pending])
    missing = [call for call in pending if call.key not in known]
    console.say(
        f"{order.rubric.name} {order.rubric.version}: {len(work.judged):,} chains of {order.run.path.name}, "
        f"{len(work.calls):,} votes by {order.server.model} at {order.server.url}"
    )
    console.say(
        f"calls: {len(missing):,} to make, {len(known):,} in the cache, "
        f"{len(work.calls) - len(pending):,} judged before"
    )
    if missing:
        prompt, output = tokens_of(missing)
        console.say(f"tokens: about {prompt:,} of prompt and {output:,} of output; {_cost(order, prompt, output)}")
        console.say("not counted: a few small calls that learn what the server understands")
        console.say(f"an answer is waited for {order.server.timeout:.0f} s at most (--timeout), then asked for again")
    return len(missing)


def _cost(order: Order, prompt_tokens: int, output_tokens: int) -> str:
    if order.price is None:
        return f"cost unknown: no price of {order.server.model} (give one with --prices)"
    read = f" (prices of {order.price.as_of})" if order.price.as_of else ""
    return f"cost ${order.price.cost(prompt_tokens, output_tokens):,.4f}{read}"


def _judge(run: RunDir, work: _Work, pending: Sequence[Call], order: Order, console: Console) -> int:
    if not pending:
        return 0
    url = order.server.url
    known = Traits.from_facts(run.info.facts)
    before = len(work.calls) - len(pending)

    with console.progress(f"judge {order.run.path.name}", "votes") as advance:
        count = before

        def keep(judgements: list[Judgement]) -> None:
            nonlocal count
            run.append_judgements(judgements)
            count += len(judgements)
            advance(count, len(work.calls))

        def learn(traits: Traits) -> None:
            run.update(facts={**run.info.facts, **traits.facts()})
            for remark in traits.remarks(url):
                console.warn(remark)

        return work.judge.run(
            pending,
            keep,
            traits=known,
            on_traits=learn,
            on_stop=lambda waiting: console.warn(f"awaiting {waiting} calls in flight; interrupt again to drop them"),
        )


def _finish(run: RunDir, order: Order, work: _Work, console: Console) -> list[Score]:
    judgements = latest(run.judgements())
    scores = scores_of(order.rubric, work.judged, judgements, order.evaluator)
    fresh = [score for score in scores if work.present.get(_subject(score)) != score]
    _tell_mixed(order, work.present, scores, fresh, console)
    if fresh:
        # Another judge may be bringing its scores in: all votes are paid for, so it is waited for.
        add_scores(order.run.path, fresh, _PATIENCE)
        with hold_run(order.run.path, _PATIENCE) as held:
            refresh_figures(held)
    figures = figures_of(scores, [each.question.id for each in work.judged])
    prompt, output, seconds = _spent(judgements)
    facts = {"prompt_tokens": float(prompt), "output_tokens": float(output), "call_seconds": round(seconds, 3)}
    known = order.price is not None and _counted(judgements)
    cost = {"cost_usd": round(order.price.cost(prompt, output), 6)} if known and order.price else {}
    earlier = {name: value for name, value in run.info.facts.items() if name != "cost_usd"}
    unscored = _reasons(each.unscored for each in judgements)
    run.update(
        figures={name: figure.model_dump() for name, figure in figures.items()},
        facts={**earlier, **facts, **cost},
        counts={"chains": len(work.judged), "votes": len(judgements), **{f"unscored: {why}": n for why, n in unscored}},
    )
    return scores


def _tell_mixed(
    order: Order, present: Mapping[_Subject, Score], scores: Sequence[Score], fresh: Sequence[Score], console: Console
) -> None:
    """Warn where an earlier judging by this judge, asked in another way, keeps a part of the run's scores."""
    replaced = any((old := present.get(_subject(score))) and old.value is not None for score in fresh)
    asked = {score.question_id for score in scores}
    names = {score.name for score in scores}
    kept = {
        score.question_id
        for score in present.values()
        if score.evaluator == order.evaluator and score.name in names and score.version == order.rubric.version
    } - asked
    if replaced and kept:
        console.warn(
            f"{order.run.path.name} has scores of {order.evaluator} for {len(kept):,} more questions, from a judging "
            "that went otherwise: its figures mix the two. Judge the whole run (leave --limit out)"
        )


def _subject(score: Score) -> _Subject:
    return score.question_id, score.step, score.name, score.evaluator


def _spent(judgements: Sequence[Judgement]) -> tuple[int, int, float]:
    return (
        sum(each.prompt_tokens for each in judgements),
        sum(each.output_tokens for each in judgements),
        sum(each.seconds for each in judgements),
    )


def _counted(judgements: Sequence[Judgement]) -> bool:
    """Whether the server says how many tokens its answers took: of one that does not, nobody knows the cost."""
    return any(each.prompt_tokens for each in judgements) or not any(each.verdicts for each in judgements)


def _report(run: RunDir, order: Order, work: _Work, scores: Sequence[Score], asked: int, console: Console) -> None:
    info, rubric = run.info, order.rubric
    rows = []
    for figure in rubric.figures:
        name = rubric.score_name(figure)
        found = info.figures[f"{name}@{order.evaluator}"]
        why = "; ".join(f"{n} {reason}" for reason, n in _reasons(each.reason for each in scores if each.name == name))
        rows.append([name, _shown(found, rubric.is_share(figure)), str(found.n), str(found.unscored), why or "–"])
    console.table(
        f"{order.run.path.name} judged by {info.model}: means with 95 % intervals over questions",
        ["score", "mean", "questions", "unscored", "why"],
        rows,
    )
    judgements = latest(run.judgements())
    lost = _reasons(each.unscored for each in judgements)
    if lost:
        count = sum(n for _, n in lost)
        console.warn(
            f"{count} of {len(judgements)} votes give no verdict: " + "; ".join(f"{n} {why}" for why, n in lost)
        )
    if order.votes > 1:
        _report_agreement(rubric, work, judgements, console)
    prompt, output, seconds = _spent(judgements)
    console.say(
        f"{info.name}: {len(judgements):,} votes, {asked:,} calls made now; all votes: {prompt:,} tokens of prompt, "
        f"{output:,} of output, {seconds:,.1f} s of calls; "
        + (_cost(order, prompt, output) if _counted(judgements) else "cost unknown: the server counts no tokens")
    )


def _report_agreement(rubric: Rubric, work: _Work, judgements: Sequence[Judgement], console: Console) -> None:
    rows = []
    for name, ratings in vote_ratings(rubric, work.judged, judgements).items():
        found = raw_agreement(ratings)
        figure = Figure(mean=found.value, low=found.low, high=found.high, n=found.questions)
        rows.append([name, percent(figure), str(found.units), found.reason or "–"])
    console.table("votes that agree, pair by pair", ["score", "equal", "things", "remark"], rows)


def _reasons(reasons: Iterable[str | None]) -> list[tuple[str, int]]:
    """The commonest reasons with their counts; what servers and models word each time anew is summed up."""
    counts = Counter(reason for reason in reasons if reason)
    common = counts.most_common(_REASONS_SHOWN)
    rest = counts.total() - sum(count for _, count in common)
    return [*common, *([("other reasons", rest)] if rest else [])]


def _shown(figure: Figure, share: bool) -> str:
    if share or figure.mean is None:
        return percent(figure)
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:+.2f}, {figure.high:+.2f}]"
    return f"{figure.mean:+.2f}{interval}"
