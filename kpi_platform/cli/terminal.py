"""What the command prints: lines, JSON and tables that fit the terminal, with nothing in them that
steers it.

Belongs here: every way to standard output and standard error. Does not: what is said.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kpi_platform.schemas.texts.shown_text import said, shown

if TYPE_CHECKING:
    from rich.table import Table

# Longer texts are folded before columns are laid one under the other.
_FOLDED, _FRAME = 24, 3


def say(text: str, *, err: bool = False, level: str = "info") -> None:
    """Print one line; line ends within it are shown, so that nobody forges another.

    With KPI_LOG_FORMAT=json, what goes to standard error is a line of the log, of this level.
    """
    if err and _is_logged():
        _log(text, level)
    else:
        _write(said(text), err=err)


def say_lines(text: str, *, err: bool = False, level: str = "info") -> None:
    """Print lines that we laid out ourselves, as a help or a traceback."""
    if err and _is_logged():
        _log(text, level)
    else:
        _write(said(text, keeps_lines=True), err=err)


def _is_logged() -> bool:
    # Settings take time to load, which printing an answer does not need.
    from kpi_platform.settings import log_format

    return log_format() == "json"


def _log(text: str, level: str) -> None:
    from kpi_platform.schemas.texts.log_lines import log_line

    _write(log_line(datetime.now(UTC), level, text, {"log.logger": "kpi"}), err=True)


def say_json(value: object, default: Callable[[Any], Any] | None = None) -> None:
    """Print a value as one line of JSON."""
    _write(json_text(value, default), err=False)


def json_text(value: object, default: Callable[[Any], Any] | None = None) -> str:
    """A value as JSON, its letters as they are, and escaped as JSON does whatever is not printable:
    programs read the same text, a terminal is not steered."""
    text = json.dumps(value, ensure_ascii=False, default=default)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print rows as a table, each value as text; nulls are blank, and text is never markup."""
    print_cells(columns, [["" if v is None else _cell(v) for v in row] for row in rows], title)


def print_cells(columns: Sequence[str], cells: list[list[str]], title: str = "") -> None:
    """Print texts as a table that fits the terminal."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    names = [shown(name) for name in columns]
    texts = [[shown(text, keeps_lines=True) for text in row] for row in cells]
    if title:
        console.print(shown(title), soft_wrap=True)
    for table in _tables(names, texts, console.width):
        console.print(table)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar per stage on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as ProgressBar
    from rich.progress import TaskID

    console = Console(stderr=True)
    with ProgressBar(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage)
            bar.update(tasks[stage], completed=done, total=total)

        yield show


def _write(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    # What the stream's encoding does not have (LC_ALL=C) is escaped, too.
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _cell(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _tables(columns: Sequence[str], cells: list[list[str]], width: int) -> "Iterator[Table]":
    """One table of all rows, or one per row, a column under the other, where they are too wide."""
    from rich import box
    from rich.table import Table

    widest = (max(map(len, names)) for names in zip(columns, *cells, strict=True))
    if sum(min(wide, _FOLDED) + _FRAME for wide in widest) < width:
        table = Table(box=box.HEAVY_HEAD)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*row)
        yield table
        return
    for number, row in enumerate(cells, start=1):
        table = Table(title=f"row {number}", title_justify="left", show_header=False)
        table.add_column(overflow="fold", max_width=max(width // 2, 1))
        table.add_column(overflow="fold")
        for pair in zip(columns, row, strict=True):
            table.add_row(*pair)
        yield table
