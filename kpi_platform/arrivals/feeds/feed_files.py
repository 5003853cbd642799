"""Hourly files of a platform's feed -> rows of texts, and the lines that are no rows.

Belongs here: which reader a file needs, frames of bounded size, what a file's reading amounts to.
Does not: lines (`text_lines.py`), CSV (`csv_records.py`), Parquet (`parquet_rows.py`), what the
columns mean, and which game a row is of.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from kpi_platform.arrivals.feeds.csv_records import CsvRecords, Record
from kpi_platform.arrivals.feeds.parquet_rows import parquet_rows
from kpi_platform.arrivals.feeds.text_lines import Line, kept_text, physical_lines
from kpi_platform.arrivals.telemetry.decompress import FileRead
from kpi_platform.schemas.texts.json_text import read_json, scalar_text, without_halves, write_json
from kpi_platform.schemas.texts.row_faults import FAULTS

READABLE = re.compile(r"(?i)\.(?:(csv|jsonl)(?:\.(?:gz|zst))?|parquet)$")
ROWS_AT_A_TIME = 50_000
# Of rows and lines that are held as Python's texts.
_BYTES_AT_A_TIME = 32 << 20
BAD = pl.Schema({"reason": pl.String, "raw_line": pl.String, "line_number": pl.Int64})
ROWS = pl.Schema({"row": pl.String, "line_number": pl.Int64})
_UNWRITABLE = "a row whose values cannot be written as text"


@dataclass(frozen=True)
class TextForm:
    """How a feed's text files are written."""

    encoding: str = "utf-8"
    separator: str = ","


@dataclass
class FeedRead:
    """The rows of a file, to be iterated once; then says how reading ended.

    Iteration gives pairs of frames: `ROWS` and `BAD`. `lines`: rows and bad lines together; a
    record over several lines is one. `unreadable`: it could not be opened as what its name says,
    or its header is of no use. What the store raises is the caller's.
    """

    content: Iterable[bytes]
    file_name: str
    form: TextForm = field(default_factory=TextForm)
    lines: int = 0
    truncated: bool = False
    unreadable: bool = False

    def __iter__(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        for good, bad in self._pieces():
            self.lines += good.height + bad.height
            yield good, bad

    def _pieces(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        match = READABLE.search(self.file_name)
        kind = match[1].lower() if match and match[1] else "parquet"
        if kind == "parquet":
            yield from self._parquet(b"".join(self.content))
            return
        read = FileRead(self.content, self.file_name)
        lines = physical_lines(read, self.form.encoding)
        if kind == "csv":
            records = CsvRecords(lines, self.form.separator)
            yield from _framed(records)
            self.unreadable = records.has_wrong_header
        else:
            yield from _framed(_jsonl_record(line) for line in lines if not line.is_blank)
        self.truncated = read.truncated
        self.unreadable = self.unreadable or read.unreadable

    def _parquet(self, data: bytes) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        done = 0
        pieces = parquet_rows(data)
        while True:
            try:
                texts, reasons = next(pieces)
            except StopIteration:
                return
            except FAULTS:
                self.truncated, self.unreadable = done > 0, not done
                return
            yield _of_parquet(texts, reasons, done + 1)
            done += len(texts)


def _of_parquet(
    texts: pl.Series, reasons: pl.Series, first: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    numbers = pl.int_range(first, first + len(texts), dtype=pl.Int64, eager=True)
    every = pl.DataFrame({"row": texts, "line_number": numbers, "reason": reasons})
    bad = every.filter(pl.col("reason").is_not_null())
    kept = [_UNWRITABLE if text is None else kept_text(text) for text in bad["row"]]
    return (
        every.filter(pl.col("reason").is_null()).select(list(ROWS)),
        bad.with_columns(raw_line=pl.Series(kept, dtype=pl.String)).select(list(BAD)),
    )


def _framed(records: Iterable[Record]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    good: list[tuple[str, int]] = []
    bad: list[tuple[str, str, int]] = []
    size = 0
    for record in records:
        if record.row is None:
            text = kept_text(record.text)
            bad.append((record.reason, text, record.line_number))
        else:
            text = write_json(record.row)
            good.append((text, record.line_number))
        size += len(text)
        if len(good) + len(bad) >= ROWS_AT_A_TIME or size >= _BYTES_AT_A_TIME:
            yield _frames(good, bad)
            good, bad, size = [], [], 0
    if good or bad:
        yield _frames(good, bad)


def _frames(
    good: Sequence[tuple[str, int]], bad: Sequence[tuple[str, str, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.DataFrame(good, ROWS, orient="row"), pl.DataFrame(bad, BAD, orient="row")


def _jsonl_record(line: Line) -> Record:
    text = line.text.removeprefix("\ufeff").strip()
    if line.reason is not None:
        return Record(line.number, None, line.reason, text)
    try:
        found = read_json(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return Record(line.number, None, "bad_body", text)
    return Record(
        line.number, {without_halves(name): scalar_text(value) for name, value in found.items()}
    )
