"""Judging: calls a second with 64 in flight against a server that takes 1 s a call, beside the ideal.

    python benchmarks/judge.py [--concurrency 64] [--seconds 1.0] [--rounds 12]

The server runs in a process of its own. Votes are cached and appended to a run's file as in `steper judge`; nothing is
asserted. The ideal is one answer a second for each call in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from evaluators.judge import Judge
from evaluators.judge_cache import AnswerCache
from evaluators.judge_prompts import Item, Prompter, items_of
from evaluators.judge_server import JudgeServer, Traits
from evaluators.rubric import load_rubric
from steper_core.environment import describe_environment
from steper_core.records import Chain, Passage, Question, Retrieved, Step, StopReason, ability_of
from steper_core.rundir import RunDir

RUBRIC = "abilities"
STEPS = 5
PASSAGES_A_STEP = 4
WORDS_A_PASSAGE = 80


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="what the server takes for a call")
    parser.add_argument("--rounds", type=int, default=12, help="calls for each place in flight")
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, options.seconds), daemon=True)
    process.start()
    try:
        taken, again, votes = measure(here.recv(), options.concurrency, options.rounds * options.concurrency)
    finally:
        process.terminate()
    _, hardware, _ = describe_environment()
    rate, ideal = votes / taken, options.concurrency / options.seconds
    print(f"{hardware['processor']}, {os.cpu_count()} cores; {votes:,} calls of {STEPS}-step chains, rubric {RUBRIC}")
    print(f"{options.concurrency} in flight, {options.seconds:g} s a call")
    print(f"{'calls a second':32} {rate:10.1f}")
    print(f"{'ideal':32} {ideal:10.1f}")
    print(f"{'share of the ideal':32} {rate / ideal:10.1%}")
    print(f"{'again, all from the cache':32} {votes / again:10,.0f} votes a second, no call")


def measure(port: int, concurrency: int, count: int) -> tuple[float, float, int]:
    """(seconds, seconds of the same again, votes)."""
    os.environ.setdefault("OPENAI_API_KEY", "none")
    rubric = load_rubric(RUBRIC)
    items, passages = material(count)
    with tempfile.TemporaryDirectory() as folder, AnswerCache(Path(folder) / "cache") as cache:
        run = RunDir(Path(folder))
        taken = []
        for _ in range(2):
            server = JudgeServer("judge", base_url=f"http://127.0.0.1:{port}/v1")
            judge = Judge(rubric, server, cache, Prompter(rubric, passages), concurrency=concurrency)
            calls = judge.plan(items, 1)
            started = time.perf_counter()
            judge.run(calls, run.append_judgements, traits=Traits())
            taken.append(time.perf_counter() - started)
        votes = sum(1 for vote in run.judgements() if vote.verdicts)
    return taken[0], taken[1], votes // 2


def material(count: int) -> tuple[list[Item], dict[str, Passage]]:
    """So many items of invented chains, each with passages of its own."""
    rubric, passages, items = load_rubric(RUBRIC), {}, []
    for number in range(count):
        steps = []
        for place in range(1, STEPS + 1):
            found = [
                Passage.of(f"Title {number} {place} {rank}", f"word{rank} " * WORDS_A_PASSAGE)
                for rank in range(1, PASSAGES_A_STEP + 1)
            ]
            passages |= {passage.id: passage for passage in found}
            hits = tuple(Retrieved(passage_id=each.id, rank=rank, score=1.0) for rank, each in enumerate(found, 1))
            steps.append(
                Step(
                    number=place,
                    ability=ability_of(place, STEPS),
                    query=f"query {number}",
                    retrieved=hits,
                    rationale=f"Line {place} of chain {number} says what follows.",
                    prompt_tokens=0,
                    output_tokens=0,
                    seconds=0.0,
                )
            )
        question = Question(id=f"q{number}", dataset="worlds", text=f"What of {number}?", answer="x")
        chain = Chain(question_id=question.id, steps=tuple(steps), answer="x", stop_reason=StopReason.ANSWERED)
        items += items_of(rubric, question, chain)
    return items, passages


def serve(where: Connection, seconds: float) -> None:
    """Answer every call with the same verdicts after so many seconds; tell the port first."""
    verdicts = dict.fromkeys(("initialization", "expansion", "aggregation"), "yes")
    message = {"role": "assistant", "content": json.dumps({"explanation": "It follows.", **verdicts})}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 2000, "completion_tokens": 40, "total_tokens": 2040}
    body = json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = next(line for line in request.split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                await asyncio.sleep(seconds)
                writer.write(head + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def listen() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        where.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(listen())


if __name__ == "__main__":
    main()
