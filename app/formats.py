"""Numbers as the pages write them."""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluators.agreement import Agreement
    from evaluators.verdict import Unit

MISSING = "–"

_UNITS: dict[str, tuple[str, str]] = {
    "seconds": ("duration", ""),
    "bytes": ("bytes", ""),
    "joules": ("number", "J"),
    "wh": ("number", "Wh"),
    "kwh": ("number", "kWh"),
    "grams": ("number", "g"),
    "watts": ("number", "W"),
}


def number(value: float | None, digits: int = 1) -> str:
    """A number with thousands separated by a thin space; whole numbers without decimals."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == int(value):
        return f"{int(value):,}".replace(",", "\u2009")
    if 0 < abs(value) < 10**-digits:
        return f"{value:.2g}"
    return f"{value:,.{digits}f}".replace(",", "\u2009")


def percent(share: float | None) -> str:
    """A share as percent with one decimal, without the sign."""
    return MISSING if share is None or not math.isfinite(share) else f"{100 * share:.1f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval of shares as percent, or nothing where there is none."""
    return "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"


def amount(value: float | None, unit: Unit) -> str:
    """A mean: a share as percent, a count as a number."""
    text = percent(value) if unit == "share" else number(value, 2)
    return "0.0" if text == "-0.0" else text


def bounds(low: float | None, high: float | None, unit: Unit) -> str:
    """An interval in the unit of its mean; nothing where there is none."""
    return "" if low is None or high is None else f"[{amount(low, unit)}, {amount(high, unit)}]"


def change(difference: float | None, unit: Unit) -> str:
    """A difference with its sign: points for a share."""
    if difference is None:
        return ""
    # Zero is added so that what rounds to nothing has no minus.
    return f"{round(100 * difference, 1) + 0.0:+.1f}" if unit == "share" else f"{round(difference, 2) + 0.0:+.2f}"


def coefficient(value: Agreement) -> str:
    """A coefficient of agreement with its interval, or why there is none."""
    if value.value is None:
        return f"{MISSING} ({value.reason})"
    if value.low is None or value.high is None:
        return f"{value.value:.2f}"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def duration(seconds: float | None) -> str:
    """A time in the unit that fits: 0.42 s, 12.3 s, 4 min 05 s, 2 h 03 min."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def data_size(size: float) -> str:
    """A number of bytes in the decimal unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{number(size)} {unit}"
        size /= 1000
    return f"{number(size)} TB"


def moment(time: datetime.datetime) -> str:
    """A time of day as people read it, in universal time."""
    aware = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    return f"{aware.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def fact_label(name: str) -> str:
    """The name of a fact without the unit that its value will carry."""
    words = name.split("_")
    if "per" in words[1:]:
        return " ".join(words).capitalize()
    kept = [word for word in words if word.lower() not in _UNITS] or words
    return " ".join(kept).capitalize()


def fact_value(name: str, value: float) -> str:
    """The value of a fact with the unit that its name ends with."""
    words = name.lower().split("_")
    if "per" in words[1:]:
        counted, base = " ".join(words[: words.index("per")]), " ".join(words[words.index("per") + 1 :])
        short = {"seconds": "s", "second": "s"}
        return f"{number(value, 2)} {short.get(counted, counted)}/{short.get(base, base)}"
    form, unit = next((_UNITS[word] for word in reversed(words) if word in _UNITS), ("number", ""))
    if form == "duration":
        return duration(value)
    if form == "bytes":
        return data_size(value)
    if unit or abs(value) < 1_000_000:
        return f"{number(value, 2)} {unit}".strip()
    return f"{number(value / 1e6)} M" if abs(value) < 1e9 else f"{number(value / 1e9, 2)} G"
