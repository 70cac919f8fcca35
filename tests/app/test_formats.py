"""Numbers and texts as the pages write them."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import (
    amount,
    bounds,
    change,
    data_size,
    duration,
    fact_label,
    fact_value,
    interval,
    moment,
    number,
    percent,
)
from app.plain import one_line, plain


@pytest.mark.parametrize(
    ("share", "shown"), [(0.61, "61.0"), (1.0, "100.0"), (0.0, "0.0"), (None, "–"), (math.nan, "–"), (1 / 3, "33.3")]
)
def test_shares_are_percent_with_one_decimal(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_an_interval_stands_in_brackets_or_not_at_all() -> None:
    assert interval(0.567, 0.652) == "[56.7, 65.2]"
    assert interval(None, 0.652) == ""


def test_what_is_counted_is_a_number_and_a_change_has_its_sign() -> None:
    assert (change(-0.0001, "share"), change(0.5, "count"), change(None, "share")) == ("+0.0", "+0.50", "")
    assert (amount(-0.0001, "share"), amount(1.5, "count"), amount(None, "count")) == ("0.0", "1.50", "–")
    assert (bounds(-0.5, 0.25, "count"), bounds(0.25, None, "count")) == ("[-0.50, 0.25]", "")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.417, "0.42 s"),
        (12.34, "12.3 s"),
        (59.99, "60.0 s"),
        (245, "4 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7380, "2 h 03 min"),
        (None, "–"),
    ],
)
def test_durations_take_the_unit_that_fits(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("name", "value", "label", "shown"),
    [
        ("seconds_per_question", 1.934, "Seconds per question", "1.93 s/question"),
        ("tokens_per_second", 403.2, "Tokens per second", "403.20 tokens/s"),
        ("disk_bytes", 538e6, "Disk", "538 MB"),
        ("training_seconds", 612.4, "Training", "10 min 12 s"),
        ("parameters_total", 134515008.0, "Parameters total", "134.5 M"),
        ("cut_examples", 3.0, "Cut examples", "3"),
        ("energy_joules", 1500.0, "Energy", "1\u2009500 J"),
        ("seconds", 3.0, "Seconds", "3.00 s"),
    ],
)
def test_facts_carry_their_unit(name: str, value: float, label: str, shown: str) -> None:
    assert fact_label(name) == label
    assert fact_value(name, value) == shown


def test_numbers_group_thousands_and_keep_small_values() -> None:
    assert number(12345) == "12\u2009345"
    assert number(0.00005) == "5e-05"
    assert number(None) == "–"
    assert data_size(1.6e9) == "1.6 GB"


def test_times_are_universal() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert moment(datetime.datetime(2026, 3, 1, 1, 30, tzinfo=zone)) == "2026-02-28 23:30 UTC"
    assert moment(datetime.datetime(2026, 3, 1, 1, 30)) == "2026-03-01 01:30 UTC"


def test_control_characters_and_directions_are_written_out() -> None:
    assert (
        plain("a\x00b\x1b[31m\u202egnp\u2066x\tend\r\nline") == "a[U+0000]b[U+001B][31m[U+202E]gnp[U+2066]x\tend\nline"
    )


@given(st.text(alphabet=st.characters(), max_size=200))
def test_plain_text_can_always_be_sent(text: str) -> None:
    plain(text).encode("utf-8")
    assert len(one_line(text, 20)) <= 20
    assert "\n" not in one_line(text, 20)


def test_a_lone_surrogate_is_replaced() -> None:
    assert plain("a\ud800b") == "a?b"
