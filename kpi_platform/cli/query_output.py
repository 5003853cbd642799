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
from io import StringIO
from itertools import chain
from typing import Any, Protocol

from kpi_platform.cli.terminal import json_text, print_cells
from kpi_platform.schemas.texts.shown_text import shown

_BATCH = 10_000
_LARGE = 10_000
# A spreadsheet takes a cell that begins with one of these for a formula, the wide forms of East
# Asian input, and what follows blanks, included.
_FORMULA = "=+-@|%\uff1d\uff0b\uff0d\uff20"
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
    columns: Sequence[str],
    rows: Iterable[list[Row]],
    output: OutputFormat,
    limit: int,
    *,
    for_spreadsheet: bool = False,
) -> None:
    """Print all rows as CSV or as one JSON array of objects, or the first `limit` as a table.

    `for_spreadsheet`: texts of a CSV that a spreadsheet would run as a formula begin with `'`.
    """
    if output is OutputFormat.CSV:
        # A file has the data as they are; a terminal is not steered by them.
        is_shown = for_spreadsheet or sys.stdout.isatty()
        _write_csv(columns, rows, for_spreadsheet=for_spreadsheet, is_shown=is_shown)
    elif output is OutputFormat.JSON:
        _write_json(columns, rows)
    else:
        _write_table(columns, rows, limit)


def _write_csv(
    columns: Sequence[str], rows: Iterable[list[Row]], *, for_spreadsheet: bool, is_shown: bool
) -> None:
    def cell(value: object) -> str:
        text = _text(value)
        # Numbers are numbers, and stay so: -5 is no formula.
        is_number = isinstance(value, int | float | Decimal)
        if for_spreadsheet and not is_number and text.lstrip().startswith(tuple(_FORMULA)):
            text = f"'{text}"
        return shown(text, keeps_lines=True) if is_shown else text

    # The lines end as a terminal's; a value that holds a line's end of any kind is quoted, which
    # Python's writer forgets of the kinds that are not its own.
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    head: list[Row] = [columns]
    for batch in chain([head], rows):
        for row in batch:
            writer.writerow(map(cell, row))
            sys.stdout.write(text.getvalue().removesuffix("\r\n") + "\n")
            text.seek(0)
            text.truncate()


def _write_json(columns: Sequence[str], rows: Iterable[list[Row]]) -> None:
    sys.stdout.write("[")
    separator = "\n"
    for batch in rows:
        for row in batch:
            record = dict(zip(columns, map(_plain, row), strict=True))
            sys.stdout.write(separator + json_text(record))
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
    print_cells(columns, cells)
    if is_cut:
        sys.stderr.write(f"the first {len(cells)} rows; --limit shows more, --format csv all\n")


def _shown(value: object) -> str:
    """A value in a table."""
    return _number(value) if isinstance(value, float) else _text(value)


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
