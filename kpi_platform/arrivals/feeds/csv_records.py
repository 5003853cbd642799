"""Physical lines of a CSV file -> its records, so that no line is swallowed by another's quote.

Belongs here: quotes, records over several lines, headers. Does not: what the columns mean.
"""

import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kpi_platform.arrivals.feeds.text_lines import LONGEST_LINE, Line

_BOM = "\ufeff"
UNCLOSED = "unclosed_quote"
WRONG_HEADER = "wrong_header"
# A note in a cell may have paragraphs; a quote that is open for longer was never closed.
MOST_LINES = 1_000
# Lines are bounded where they are read; a record may hold as much again.
csv.field_size_limit(4 * LONGEST_LINE)


class Record(NamedTuple):
    """A row of a file by its columns, or, where `row` is None, a line of no use and why."""

    line_number: int
    row: Mapping[str, str | None] | None
    reason: str = ""
    text: str = ""


class CsvRecords:
    """The records below a header; then says whether the header was of use.

    Every line that holds more than blanks is part of exactly one record, or the header. A record
    over several lines has the number of its last.
    """

    def __init__(self, lines: Iterator[Line], separator: str) -> None:
        self.has_wrong_header = False
        self._lines = lines
        self._separator = separator
        self._again: deque[Line] = deque()
        self._width = 0

    def __iter__(self) -> Iterator[Record]:
        names: list[str] | None = None
        written: list[str] = []
        while (line := self._next()) is not None:
            text = line.text.removeprefix(_BOM)
            if line.is_blank:
                continue
            if self.has_wrong_header:
                yield _useless(line, WRONG_HEADER)
            elif names is None:
                written = self._cells(text) or []
                names = None if line.reason or line.is_cut else _column_names(written)
                self._width = len(written)
                if names is None:
                    self.has_wrong_header = True
                    yield _useless(line, WRONG_HEADER)
            elif (cells := self._cells(text)) != written:
                yield from self._records(line, cells, names)
            # Else: files put together from several repeat their header.

    def _next(self) -> Line | None:
        return self._again.popleft() if self._again else next(self._lines, None)

    def _cells(self, text: str) -> list[str] | None:
        """The cells of a line that is a record of its own; None if it is none."""
        try:
            return next(csv.reader([text], delimiter=self._separator, strict=True), [])
        except csv.Error:
            return None

    def _records(
        self, line: Line, cells: list[str] | None, names: Sequence[str]
    ) -> Iterator[Record]:
        if line.reason is not None:
            yield _useless(line, line.reason)
        elif cells is None:
            yield self._spanning(line, names)
        elif len(cells) != self._width or line.is_cut:
            yield _useless(line, "wrong_field_count")
        else:
            yield _record(line, names, cells)

    def _spanning(self, first: Line, names: Sequence[str]) -> Record:
        """The record whose quote this line opens, if one can be told from a stray quote."""
        lines, cells = self._until_closed(first)
        if len(lines) == 1 and not self._is_open(first.text):
            return _useless(first, "bad_body")
        if cells is None or len(cells) != self._width or self._has_swallowed(lines):
            # The others are read as what they are without the quote.
            self._again.extendleft(reversed(lines[1:]))
            return _useless(first, UNCLOSED)
        return _record(lines[-1], names, cells)

    def _is_open(self, text: str) -> bool:
        """Whether a line ends inside a quote."""
        try:
            next(csv.reader([text], delimiter=self._separator, strict=True), None)
        except csv.Error as error:
            return "end of data" in str(error)
        return False

    def _until_closed(self, first: Line) -> tuple[list[Line], list[str] | None]:
        """The lines up to the one that closes the quote, and the cells that they make together."""
        taken: list[Line] = []

        def texts() -> Iterator[str]:
            line: Line | None = first
            size = 0
            while line is not None:
                taken.append(line)
                size += len(line.text)
                if line.reason or line.is_cut or size > LONGEST_LINE or len(taken) > MOST_LINES:
                    return
                yield line.text + "\n"
                line = self._next()

        try:
            return taken, next(csv.reader(texts(), delimiter=self._separator, strict=True), None)
        except csv.Error:
            return taken, None

    def _has_swallowed(self, lines: Sequence[Line]) -> bool:
        """Whether lines that look like records of their own stand inside a record.

        The text of a cell seldom has the separators of a whole record, but with two columns any
        sentence with a comma has.
        """
        inner = [self._is_record(line.text) for line in lines[1:-1]]
        outer = [self._looks_like_one(line.text) for line in (lines[0], lines[-1])]
        if self._width <= 2:
            return all([*inner, *outer])
        return any(inner) or all(outer)

    def _is_record(self, text: str) -> bool:
        cells = self._cells(text)
        return cells is not None and len(cells) == self._width

    def _looks_like_one(self, text: str) -> bool:
        """Whether a line with a quote too many or too few has a record's separators."""
        return self._is_record(text) or text.count(self._separator) + 1 == self._width


def _column_names(cells: Sequence[str]) -> list[str] | None:
    """The names of a header; None if it is of no use. What has no name is told by its place."""
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    is_text = not any("\0" in name for name in names)
    return names if names and is_text and len(set(names)) == len(names) else None


def _record(line: Line, names: Sequence[str], cells: Sequence[str]) -> Record:
    row = {name: cell if cell != "" else None for name, cell in zip(names, cells, strict=True)}
    return Record(line.number, row)


def _useless(line: Line, reason: str) -> Record:
    return Record(line.number, None, line.reason or reason, line.text)
