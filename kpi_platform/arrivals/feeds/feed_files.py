"""Hourly files of a platform's feed -> rows of texts, and the lines that are no rows.

Belongs here: CSV, JSONL and Parquet, in pieces, however dirty. Does not: what the columns mean,
and which game a row is of.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from polars.exceptions import PolarsError

from kpi_platform.arrivals.studios.text_rows import row_texts
from kpi_platform.arrivals.telemetry.decompress import FileRead

READABLE = re.compile(r"(?i)\.(?:(csv|jsonl)(?:\.(?:gz|zst))?|parquet)$")
ROWS_AT_A_TIME = 50_000
KEPT_BYTES = 64 * 1024
LONGEST_LINE = 1 << 20
BAD = pl.Schema({"reason": pl.String, "raw_line": pl.String, "line_number": pl.Int64})
ROWS = pl.Schema({"row": pl.String, "line_number": pl.Int64})
_BOM = "\ufeff"


@dataclass(frozen=True)
class TextForm:
    """How a feed's text files are written."""

    encoding: str = "utf-8"
    separator: str = ","


@dataclass
class FeedRead:
    """The rows of a file, to be iterated once; then says how reading ended.

    Iteration gives pairs of frames: `ROWS` and `BAD`. `lines`: rows and bad lines together.
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
            yield from self._parquet()
            return
        read = FileRead(self.content, self.file_name)
        text = _text_lines(read, self.form.encoding)
        parse = _csv_rows if kind == "csv" else _jsonl_rows
        yield from _framed(parse(text, self.form.separator))
        self.truncated, self.unreadable = read.truncated, read.unreadable

    def _parquet(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        try:
            table = pl.read_parquet(io.BytesIO(b"".join(self.content)))
        except (PolarsError, OSError):
            self.unreadable = True
            return
        for start in range(0, table.height, ROWS_AT_A_TIME):
            part = row_texts(table.slice(start, ROWS_AT_A_TIME))
            numbers = pl.int_range(start + 1, start + 1 + part.len(), eager=True)
            rows = pl.DataFrame({"row": part, "line_number": numbers}).cast(ROWS)
            yield rows, BAD.to_frame()


# A line: its number, and either the row's columns or the reason and the text.
_Line = tuple[int, Mapping[str, str | None] | None, str, str]


def _framed(lines: Iterable[_Line]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    good: list[tuple[str, int]] = []
    bad: list[tuple[str, str, int]] = []
    for number, row, reason, text in lines:
        if row is None:
            bad.append((reason, _kept(text), number))
        else:
            good.append((json.dumps(row, ensure_ascii=False, separators=(",", ":")), number))
        if len(good) + len(bad) >= ROWS_AT_A_TIME:
            yield _frames(good, bad)
            good, bad = [], []
    if good or bad:
        yield _frames(good, bad)


def _frames(
    good: Sequence[tuple[str, int]], bad: Sequence[tuple[str, str, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.DataFrame(good, ROWS, orient="row"), pl.DataFrame(bad, BAD, orient="row")


def _text_lines(blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Lines with their ends; bytes that are no text of the encoding as lone surrogates."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line.decode(encoding, "surrogateescape") + "\n"
    if rest:
        yield rest.decode(encoding, "surrogateescape")


def _csv_rows(lines: Iterator[str], separator: str) -> Iterator[_Line]:
    """Records below a header; a record may span lines, and has the number of its last."""
    reader = csv.reader(lines, delimiter=separator)
    header: list[str] | None = None
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, None, "bad_body", str(error)
            continue
        if not any(cell.strip() for cell in record):
            continue
        if header is None:
            header = [name.strip().removeprefix(_BOM).strip('"') for name in record]
            continue
        if record == header:
            # Files put together from several repeat their header.
            continue
        yield _csv_row(reader.line_num, header, record, separator)


def _csv_row(number: int, header: list[str], record: list[str], separator: str) -> _Line:
    text = separator.join(record)
    reason = _text_reason(text)
    if reason is None and len(record) != len(header):
        reason = "wrong_field_count"
    if reason is not None:
        return number, None, reason, text
    cells = {name: cell if cell != "" else None for name, cell in zip(header, record, strict=True)}
    return number, cells, "", ""


def _jsonl_rows(lines: Iterator[str], _: str) -> Iterator[_Line]:
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(_BOM).strip()
        if not text:
            continue
        reason = _text_reason(text)
        row = None if reason else _object(text)
        yield number, row, reason or "bad_body", text


def _text_reason(text: str) -> str | None:
    if len(text) > LONGEST_LINE:
        return "line_too_long"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not_utf8"
    return None


def _object(text: str) -> dict[str, str | None] | None:
    """A JSON object with its scalars as texts, numbers as they are written; None if it is none."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {str(name): _scalar(value) for name, value in found.items()}


_SCALARS: dict[object, Callable[[object], str | None]] = {
    str: lambda value: str(value),
    bool: lambda value: str(value).lower(),
    type(None): lambda _: None,
}


def _scalar(value: object) -> str | None:
    known = _SCALARS.get(type(value))
    return known(value) if known else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _kept(text: str) -> str:
    """At most 64 KiB, with bytes that are no text escaped."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return shown.encode()[:KEPT_BYTES].decode("utf-8", "ignore")
