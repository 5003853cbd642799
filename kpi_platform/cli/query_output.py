"""Rows of a query as a table, CSV or JSON on standard output, batch by batch.

Belongs here: how values look in each format. Does not: where the rows come from.
"""

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

_BATCH = 10_000
# Longer texts are folded before columns are laid one under the other.
_FOLDED, _FRAME = 24, 3
_LARGE = 10_000
Row = Sequence[object]


class OutputFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class Fetches(Protocol):
    """An open result."""

    def fetchmany(self, size: int) -> list[Any]:
        """The next rows, none at the end."""


def batches(result: Fetches) -> Iterator[list[Row]]:
    """The rows of an open result, some at a time, so that memory stays bounded."""
    while rows := result.fetchmany(_BATCH):
        yield rows


def write_rows(
    columns: Sequence[str], rows: Iterable[list[Row]], output: OutputFormat, limit: int
) -> None:
    """Print all rows as CSV or as one JSON array of objects, or the first `limit` as a table."""
    if output is OutputFormat.CSV:
        _write_csv(columns, rows)
    elif output is OutputFormat.JSON:
        _write_json(columns, rows)
    else:
        _write_table(columns, rows, limit)


def _write_csv(columns: Sequence[str], rows: Iterable[list[Row]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for batch in rows:
        writer.writerows([_text(value) for value in row] for row in batch)


def _write_json(columns: Sequence[str], rows: Iterable[list[Row]]) -> None:
    sys.stdout.write("[")
    separator = "\n"
    for batch in rows:
        for row in batch:
            record = dict(zip(columns, map(_plain, row), strict=True))
            sys.stdout.write(separator + json.dumps(record, ensure_ascii=False))
            separator = ",\n"
    sys.stdout.write("\n]\n")


def _write_table(columns: Sequence[str], rows: Iterable[list[Row]], limit: int) -> None:
    cells: list[list[str]] = []
    is_cut = False
    for batch in rows:
        is_cut = len(batch) > limit - len(cells)
        cells += [[*map(_shown, row)] for row in batch[: limit - len(cells)]]
        if is_cut:
            break
    console = Console(markup=False, highlight=False)
    for table in _tables(columns, cells, console.width):
        console.print(table)
    if is_cut:
        sys.stderr.write(f"the first {len(cells)} rows; --limit shows more, --format csv all\n")


def _tables(columns: Sequence[str], cells: list[list[str]], width: int) -> Iterator[Table]:
    """One table of all rows, or one per row, a column under the other, where they are too wide."""
    widest = (max(map(len, names)) for names in zip(columns, *cells, strict=True))
    if sum(min(wide, _FOLDED) + _FRAME for wide in widest) < width:
        table = Table()
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*row)
        yield table
        return
    for number, row in enumerate(cells, start=1):
        table = Table(title=f"row {number}", title_justify="left", show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for pair in zip(columns, row, strict=True):
            table.add_row(*pair)
        yield table


def _shown(value: object) -> str:
    """A value in a table; control characters are shown, never sent to the terminal."""
    text = _number(value) if isinstance(value, float) else _text(value)
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _number(value: float) -> str:
    """Six digits, or all before the point and two after it."""
    return f"{value:.6g}" if abs(value) < _LARGE else f"{value:.2f}".rstrip("0").rstrip(".")


def _text(value: object) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: object) -> object:
    """A value as JSON has it: times in ISO 8601, decimals as text, bytes as hex, no infinities."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return value.hex()
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case Decimal() | timedelta() | _:
            return str(value)
