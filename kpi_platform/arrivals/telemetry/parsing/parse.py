"""Telemetry files -> readable lines and quarantined lines, none lost.

Belongs here: the way of a batch of lines through splitting and judging, and which lines are whose.
Does not: those steps themselves (the modules beside), and the decoding of bodies.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Self

import polars as pl
from polars.exceptions import PanicException

from kpi_platform.arrivals.telemetry.batches import Batch, FileEnd, Piece, TelemetryFile, gather
from kpi_platform.arrivals.telemetry.lines import (
    BLOCK_BYTES,
    kept_text,
    read_lines,
    shorten,
)
from kpi_platform.arrivals.telemetry.parsing.event_names import judge_bodies, read_event_names
from kpi_platform.arrivals.telemetry.parsing.fields import (
    is_no_line,
    replace_nul,
    split_by_blanks,
    split_by_tabs,
    split_json,
)
from kpi_platform.arrivals.telemetry.parsing.reasons import Origin, Origins, judge, judge_usual
from kpi_platform.schemas.tables import QuarantinedEvents, RawTelemetry

__all__ = ["FileCounts", "Origin", "ParsedFile", "ParsedPart", "TelemetryFile", "parse_files"]

_ROWS = RawTelemetry.to_polars_schema()
_QUARANTINED = QuarantinedEvents.to_polars_schema()


class FileCounts(NamedTuple):
    """What a part holds of a file: `place` is the file's among those that are parsed.

    `truncated`, `unreadable` and `error` tell how the file ended, in the part that has its end;
    lines that made the parser fail make it unreadable in theirs.
    """

    place: int
    rows: int
    quarantined: int
    truncated: bool = False
    unreadable: bool = False
    error: str = ""

    @property
    def lines(self) -> int:
        """Lines that count: neither blank nor a header."""
        return self.rows + self.quarantined

    def plus(self, other: Self) -> Self:
        """The counts of both parts of the file."""
        return self._replace(
            rows=self.rows + other.rows,
            quarantined=self.quarantined + other.quarantined,
            truncated=self.truncated or other.truncated,
            unreadable=self.unreadable or other.unreadable,
            error=self.error or other.error,
        )


@dataclass(frozen=True)
class ParsedPart:
    """Lines of one or more neighbouring files, in their order; of a large file some of its lines.

    `rows`: columns of `raw_telemetry`; `quarantined`: of `quarantined_events`, stage `read`.
    `counts`: one per file of which something is here, its end if nothing else.
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    counts: tuple[FileCounts, ...]


@dataclass(frozen=True)
class ParsedFile:
    """A whole file: `lines` = height of `rows` + height of `quarantined`, always."""

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    truncated: bool
    unreadable: bool
    error: str

    @property
    def lines(self) -> int:
        """Lines that count: neither blank nor a header."""
        return self.rows.height + self.quarantined.height


def parse_file(
    content: bytes,
    source: str,
    file_name: str,
    ingest_hour: datetime,
    late_limit: timedelta,
    future_limit: timedelta,
) -> ParsedFile:
    """Parse a whole file held in memory; `parse_files` is the same in bounded memory."""
    origin = Origin(source, file_name, ingest_hour, late_limit, future_limit)
    parts = list(parse_files([TelemetryFile(origin, [content])]))
    total = parts[0].counts[0]
    for part in parts[1:]:
        total = total.plus(part.counts[0])
    return ParsedFile(
        rows=pl.concat([part.rows for part in parts]),
        quarantined=pl.concat([part.quarantined for part in parts]),
        truncated=total.truncated,
        unreadable=total.unreadable,
        error=total.error,
    )


def parse_files(
    files: Iterable[TelemetryFile], block_bytes: int = BLOCK_BYTES
) -> Iterator[ParsedPart]:
    """Parse files that arrive in pieces, in order, small ones together, in bounded memory.

    A name's ending says how its file is compressed and what its lines are written in; where it
    does not, the first bytes do, and the origin's `format`. Of a file cut short the last line, if
    it has no line end, cannot be trusted: it is quarantined as `line_too_long`, `not_utf8`, or
    else `wrong_field_count`. Whatever a file raises is its own matter, and it is unreadable; but
    for what `TelemetryFile` says.
    """
    waiting: deque[Future[ParsedPart]] = deque()
    with ThreadPoolExecutor(pl.thread_pool_size()) as executor:
        for batch in gather(files, block_bytes):
            waiting.append(executor.submit(_parse_batch, batch))
            if len(waiting) > pl.thread_pool_size():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _parse_batch(batch: Batch) -> ParsedPart:
    try:
        rows, quarantined = _parse_pieces(batch.pieces, [origin for _, origin in batch.files])
    except MemoryError:
        raise
    except (Exception, PanicException) as error:  # noqa: BLE001 (whatever it is, it is the file's)
        return _parse_singly(batch, f"{type(error).__name__}: {error}")
    good, bad = _heights(rows, batch), _heights(quarantined, batch)
    counts = [
        FileCounts(place, good[file], bad[file], *batch.ends.get(place, FileEnd()))
        for file, (place, _) in enumerate(batch.files)
    ]
    return ParsedPart(rows.select(list(_ROWS)), quarantined.select(list(_QUARANTINED)), (*counts,))


def _parse_singly(batch: Batch, error: str) -> ParsedPart:
    """Parse a batch's files one by one, since one of them makes the parser fail."""
    if len(batch.files) == 1:
        ((place, _),) = batch.files
        ended = batch.ends.get(place, FileEnd())
        count = FileCounts(place, 0, 0, ended.truncated, unreadable=True, error=error)
        return ParsedPart(_ROWS.to_frame(), _QUARANTINED.to_frame(), (count,))
    parts = [_parse_batch(_only(batch, file)) for file in range(len(batch.files))]
    return ParsedPart(
        rows=pl.concat([part.rows for part in parts]),
        quarantined=pl.concat([part.quarantined for part in parts]),
        counts=tuple(count for part in parts for count in part.counts),
    )


def _only(batch: Batch, file: int) -> Batch:
    pieces = [piece._replace(file=0) for piece in batch.pieces if piece.file == file]
    return Batch([batch.files[file]], pieces, batch.ends)


def _heights(lines: pl.DataFrame, batch: Batch) -> list[int]:
    """The number of lines of each of the batch's files."""
    if len(batch.files) == 1:
        return [lines.height]
    counted = dict(lines["file"].value_counts().rows())
    return [counted.get(file, 0) for file in range(len(batch.files))]


def _parse_pieces(
    pieces: Sequence[Piece], origins: Sequence[Origin]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows and quarantined lines with `file`, in order."""
    too_long = [piece for piece in pieces if piece.block.too_long]
    cut = [piece for piece in pieces if piece.block.cut]
    whole = [piece for piece in pieces if not (piece.block.too_long or piece.block.cut)]
    usual = [piece for piece in whole if not piece.is_json]
    json = [piece for piece in whole if piece.is_json]
    of_files = Origins(origins)
    good: list[pl.DataFrame] = []
    bad: list[pl.DataFrame] = []
    if usual:
        _parse_tabular(usual, of_files, good, bad)
    if json:
        _parse_json(json, of_files, good, bad)
    if cut:
        # Whatever fields it seems to have, the last may be half of one.
        half = split_by_tabs(_lines(cut)).with_columns(BodyMessage=pl.lit(None, pl.String))
        bad.append(_unusable(judge(half, of_files)))
    if too_long:
        bad.append(_too_long(too_long))
    return (
        _finished(good, _ROWS, of_files),
        _finished(bad, _QUARANTINED, of_files, p_stage=pl.lit("read")),
    )


def _lines(pieces: Sequence[Piece]) -> pl.DataFrame:
    """The lines of pieces, with `file`."""
    lines = read_lines([piece.block for piece in pieces])
    files = pl.Series("file", [piece.file for piece in pieces], pl.UInt32)
    return lines.with_columns(file=files.gather(lines["block"]))


def _parse_tabular(
    pieces: Sequence[Piece], origins: Origins, good: list[pl.DataFrame], bad: list[pl.DataFrame]
) -> None:
    """Nearly all lines are of the usual form, which is read fast; all others exactly."""
    lines = _lines(pieces)
    usual = judge_usual(split_by_tabs(lines), origins)
    is_usual = usual["reason"].is_null()
    if any(b"\0" in piece.block.data for piece in pieces):
        is_usual &= ~lines["line"].str.contains("\0", literal=True).fill_null(value=True)
    if is_usual.all():
        good.append(_usual_rows(usual))
        return
    others = lines.filter(~is_usual)
    others = others.filter(~is_no_line(pl.col("line")).fill_null(value=False))
    judged = judge(replace_nul(split_by_blanks(split_by_tabs(others))), origins)
    good += [_usual_rows(usual.filter(is_usual)), _rows(_usable(judged))]
    bad.append(_unusable(judged))


def _parse_json(
    pieces: Sequence[Piece], origins: Origins, good: list[pl.DataFrame], bad: list[pl.DataFrame]
) -> None:
    fields = split_json(_lines(pieces))
    # A NUL is in no field unless one is in the text, bare or escaped.
    if any(nul in piece.block.data for piece in pieces for nul in (b"\0", b"\\u0000")):
        fields = replace_nul(fields)
    usual = judge_usual(fields, origins)
    is_usual = usual["reason"].is_null()
    if is_usual.all():
        good.append(_rows(usual))
        return
    others = fields.filter(~is_usual)
    others = others.filter(~is_no_line(pl.col("line")).fill_null(value=False))
    judged = judge(others, origins)
    good += [_rows(usual.filter(is_usual)), _rows(_usable(judged))]
    bad.append(_unusable(judged))


def _too_long(pieces: Sequence[Piece]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (piece.file, piece.block.number, "line_too_long", kept_text(piece.block.data))
            for piece in pieces
        ],
        {"file": pl.UInt32, "line_number": pl.Int64, "reason": pl.String, "raw_line": pl.String},
        orient="row",
    )


def _usable(judged: pl.DataFrame) -> pl.DataFrame:
    return judged.filter(pl.col("reason").is_null())


def _unusable(judged: pl.DataFrame) -> pl.DataFrame:
    """`file`, `line_number`, `reason` and `raw_line` of the lines that have a reason."""
    bad = judged.filter(pl.col("reason").is_not_null())
    rows = bad["raw"].is_not_null().arg_true()
    texts = pl.Series([kept_text(raw) for raw in bad["raw"][rows]], dtype=pl.String)
    raw_line = shorten(bad["line"]).scatter(rows, texts)
    return bad.select("file", "line_number", "reason", raw_line=raw_line)


def _finished(
    lines: list[pl.DataFrame], schema: pl.Schema, origins: Origins, **others: pl.Expr
) -> pl.DataFrame:
    """Lines in order, completed with what is the same for all lines of a file; with `file`."""
    parts = [frame for frame in lines if frame.height]
    if not parts:
        return schema.to_frame().with_columns(file=pl.lit(None, pl.UInt32))
    frame = pl.concat(parts).sort("file", "line_number") if len(parts) > 1 else parts[0]
    return frame.with_columns(*origins.columns(), **others)


def _rows(judged: pl.DataFrame) -> pl.DataFrame:
    """Rows of lines that may be written in any way: the text of those whose body may turn out
    to be of no use is kept, for that is found out when it is decoded, far from the file."""
    is_json = judged["is_json"] if "is_json" in judged.columns else None
    named = judge_bodies(judged["BodyMessage"], is_json)
    return _named(judged, named["event_name"], shorten(judged["line"].set(named["is_sound"], None)))


def _usual_rows(judged: pl.DataFrame) -> pl.DataFrame:
    """Rows of lines of the usual form, whose text can be written anew from their fields; but for
    those that write their time or number in another way than we do."""
    number = pl.col("transaction_id").cast(pl.String) == pl.col("TransactionId")
    anew = judged.select(number & pl.col("Timestamp").str.ends_with("+0000")).to_series()
    texts = shorten(judged["line"].set(anew, None))
    return _named(judged, read_event_names(judged["BodyMessage"]), texts)


def _named(judged: pl.DataFrame, names: pl.Series, texts: pl.Series) -> pl.DataFrame:
    return judged.select(
        "file",
        "line_number",
        category="Category",
        event_timestamp_utc="at",
        service_name="ServiceName",
        title_session_id="SessionId",
        title_transaction_id="transaction_id",
        body_message="BodyMessage",
        event_name=names,
        raw_line=texts,
    )
