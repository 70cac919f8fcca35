"""What commands print and record of themselves."""

from __future__ import annotations

import io
import signal
import sys

import pytest
from rich.console import Console as RichConsole

from app.console import Console
from app.options import command_line
from app.stopping import asked_to_stop

BEFORE = signal.getsignal(signal.SIGTERM)


def test_nothing_that_is_printed_acts_on_the_terminal() -> None:
    out = io.StringIO()
    console = Console(RichConsole(file=out, width=80))
    console.say("said \x1b[31mred")
    console.warn("warned \u202eback")
    console.table("title \x1b]0;x\x07", ["run", "EM"], [["name \x1b[2J", "1.0"]])
    with console.progress("bar \x1b[31m", "steps") as advance:
        advance(1, 1)
    shown = out.getvalue()
    assert "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown
    assert "[U+001B][31mred" in shown and "[U+202E]back" in shown


@pytest.mark.parametrize(
    ("argument", "kept"),
    [
        ("http://user:pa'ss@host:81/v1?api_key=Q#f", "http://host:81/v1"),
        ("--base-url=https://user:pa ss@host/v1", "--base-url=https://host/v1"),
        ("teacher.base_url=http://me:p%27w@127.0.0.1:1/v1", "teacher.base_url=http://127.0.0.1:1/v1"),
        ("http://host/a@b", "http://host/a@b"),
        ("a@b?c", "a@b?c"),
    ],
)
def test_a_command_is_recorded_without_the_secrets_of_its_addresses(
    monkeypatch: pytest.MonkeyPatch, argument: str, kept: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["steper", "judge", argument])
    shown = f"'{kept}'" if "?" in kept else kept
    assert command_line() == f"steper judge {shown}"


def test_the_first_signal_asks_and_the_second_one_acts() -> None:
    out = io.StringIO()
    with asked_to_stop(Console(RichConsole(file=out, width=120))) as asked:
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked() and "stopping" in out.getvalue()
        # What stood before stands again: it may be to ignore Ctrl-C, as in the background.
        assert signal.getsignal(signal.SIGTERM) is BEFORE
    assert signal.getsignal(signal.SIGTERM) is BEFORE
