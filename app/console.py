"""What commands print: lines, tables, and progress bars with the time left. All text of data goes through as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text

from app.plain import plain
from steper_core.ranks import rank
from steper_core.run_records import Figure, RunInfo

_PAGE_WIDTH = 150
_SHOWN = {"em": "EM", "f1": "F1", "acc": "Acc", "gold_recall": "gold recall"}


class Console:
    """Prints to the terminal; bars are drawn only where there is one."""

    def __init__(self, rich: RichConsole | None = None) -> None:
        self._rich = rich or _terminal()

    def say(self, text: str) -> None:
        """Print a line."""
        self._rich.print(Text(plain(text)))

    def warn(self, text: str) -> None:
        """Print a line that asks for attention."""
        self._rich.print(Text(plain(f"! {text}"), style="yellow"))

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show that something of unknown length is going on."""
        with self._rich.status(Text(plain(text))):
            yield

    @contextmanager
    def progress(self, label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        """A bar with the time left; call what it yields with (done, all)."""
        columns = (
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn(unit),
            bars.TimeElapsedColumn(),
            bars.TextColumn("so far,"),
            bars.TimeRemainingColumn(),
            bars.TextColumn("left"),
        )
        with bars.Progress(*columns, console=self._rich) as shown:
            task = shown.add_task(plain(label), total=None)

            def advance(done: int, total: int) -> None:
                shown.update(task, completed=done, total=total)

            yield advance

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table whose first column is text and whose others are figures."""
        table = Table(title=Text(plain(title)), title_justify="left")
        for place, name in enumerate(header):
            table.add_column(Text(plain(name)), justify="left" if place == 0 else "right", overflow="fold", min_width=6)
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        self._rich.print(table, soft_wrap=False)

    def results(self, title: str, runs: Mapping[str, RunInfo]) -> None:
        """Print evaluation runs side by side: percent with 95 % intervals, sample size, seconds a question."""
        rows = []
        for label, info in runs.items():
            figures = info.figures
            count = next((figure.n for figure in figures.values() if figure.n), 0)
            seconds = info.facts.get("seconds_per_question", 0.0)
            cells = [percent(figures.get(name)) for name in _SHOWN]
            rows.append([label, *cells, str(count), f"{seconds:.2f}"])
        self.table(title, ["system", *_SHOWN.values(), "n", "s/question"], rows)


def _terminal() -> RichConsole:
    """The terminal, or a page wide enough for any table elsewhere; of several ranks one speaks."""
    console = RichConsole(highlight=False, soft_wrap=True, quiet=rank() > 0)
    return (
        console
        if console.is_terminal
        else RichConsole(highlight=False, soft_wrap=True, width=_PAGE_WIDTH, quiet=rank() > 0)
    )


def percent(figure: Figure | None) -> str:
    """A figure as percent with its interval, a dash where it is unscored."""
    if figure is None or figure.mean is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.mean * 100:.1f}"
    return f"{figure.mean * 100:.1f} [{figure.low * 100:.1f}, {figure.high * 100:.1f}]"
