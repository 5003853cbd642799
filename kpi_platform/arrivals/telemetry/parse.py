"""Telemetry files of one ingest hour -> readable lines and quarantined lines, none lost.

Belongs here: the way of a file through reading, splitting and judging. Does not: those steps
themselves (the modules beside), and the decoding of bodies.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.arrivals.telemetry.decompress import FileRead
from kpi_platform.arrivals.telemetry.event_names import judge_bodies, read_event_names
from kpi_platform.arrivals.telemetry.fields import (
    is_no_line,
    split_by_blanks,
    split_by_tabs,
    split_json,
)
from kpi_platform.arrivals.telemetry.lines import (
    BLOCK_BYTES,
    Block,
    cut_blocks,
    kept_text,
    read_lines,
    shorten,
)
from kpi_platform.arrivals.telemetry.reasons import Origin, judge, judge_usual
from kpi_platform.schemas.tables import QuarantinedEvents, RawTelemetry

__all__ = ["Origin", "ParsedFile", "parse_blocks", "parse_file"]

_ROWS = RawTelemetry.to_polars_schema()
_QUARANTINED = QuarantinedEvents.to_polars_schema()


@dataclass(frozen=True)
class ParsedFile:
    """A file, or a block of one: `lines` = height of `rows` + height of `quarantined`, always.

    `rows`: columns of `raw_telemetry`; `quarantined`: of `quarantined_events`, stage `read`; both
    in the order of lines. `truncated` and `unreadable` are true on a file's last block only.
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    truncated: bool = False
    unreadable: bool = False

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
    """Parse a whole file held in memory; `parse_blocks` is the same in bounded memory."""
    origin = Origin(source, file_name, ingest_hour, late_limit, future_limit)
    blocks = list(parse_blocks([content], origin))
    return ParsedFile(
        rows=pl.concat([block.rows for block in blocks]),
        quarantined=pl.concat([block.quarantined for block in blocks]),
        truncated=blocks[-1].truncated,
        unreadable=blocks[-1].unreadable,
    )


def parse_blocks(
    content: Iterable[bytes], origin: Origin, block_bytes: int = BLOCK_BYTES
) -> Iterator[ParsedFile]:
    """Parse a file that arrives in pieces, block by block; at least one block, never raises.

    The name's ending says how the file is compressed and whether its lines are JSON. Of a file
    cut short the last line, if it has no line end, cannot be trusted: it is quarantined as
    `line_too_long`, `not_utf8`, or else `wrong_field_count`.
    """
    file = FileRead(content, origin.file_name)
    waiting: deque[Future[ParsedFile]] = deque()
    last: Block | None = None
    with ThreadPoolExecutor(pl.thread_pool_size()) as executor:
        for block in cut_blocks(file, block_bytes):
            if last is not None:
                waiting.append(executor.submit(_parse_block, last, origin))
            if len(waiting) > pl.thread_pool_size():
                yield waiting.popleft().result()
            last = block
        while waiting:
            yield waiting.popleft().result()
    yield _parse_last(last, file, origin)


def _parse_last(block: Block | None, file: FileRead, origin: Origin) -> ParsedFile:
    if block is None:
        parsed = ParsedFile(_ROWS.to_frame(), _QUARANTINED.to_frame())
    else:
        is_cut = file.truncated and not block.too_long and not block.data.endswith(b"\n")
        parsed = _parse_block(block._replace(cut=is_cut), origin)
    return replace(parsed, truncated=file.truncated, unreadable=file.unreadable)


def _parse_block(block: Block, origin: Origin) -> ParsedFile:
    if block.too_long:
        kept = pl.DataFrame({"line_number": [block.number], "raw_line": [kept_text(block.data)]})
        return _finished([], kept.with_columns(reason=pl.lit("line_too_long")), origin)
    lines = read_lines(block)
    if block.cut:
        # Whatever fields it seems to have, the last may be half of one.
        half = split_by_tabs(lines).with_columns(BodyMessage=pl.lit(None, pl.String))
        return _finished([], _unusable(judge(half, origin)), origin)
    if _is_json(origin.file_name):
        lines = lines.filter(~is_no_line(pl.col("line")).fill_null(value=False))
        judged = judge(split_json(lines), origin)
        return _finished([_rows(_usable(judged))], _unusable(judged), origin)
    return _parse_tabular(lines, origin)


def _parse_tabular(lines: pl.DataFrame, origin: Origin) -> ParsedFile:
    """Nearly all lines are of the usual form, which is read fast; all others exactly."""
    usual = judge_usual(split_by_tabs(lines), origin)
    is_usual = usual["reason"].is_null()
    if is_usual.all():
        return _finished([_usual_rows(usual)], _unusable(usual.clear()), origin)
    others = lines.filter(~is_usual)
    others = others.filter(~is_no_line(pl.col("line")).fill_null(value=False))
    judged = judge(split_by_blanks(split_by_tabs(others)), origin)
    good = [_usual_rows(usual.filter(is_usual)), _rows(_usable(judged))]
    return _finished(good, _unusable(judged), origin)


def _is_json(file_name: str) -> bool:
    name = file_name.lower()
    return name.removesuffix(".gz").removesuffix(".zst").endswith(".jsonl")


def _usable(judged: pl.DataFrame) -> pl.DataFrame:
    return judged.filter(pl.col("reason").is_null())


def _unusable(judged: pl.DataFrame) -> pl.DataFrame:
    """`line_number`, `reason` and `raw_line` of the lines that have a reason."""
    bad = judged.filter(pl.col("reason").is_not_null())
    rows = bad["raw"].is_not_null().arg_true()
    texts = pl.Series([kept_text(raw) for raw in bad["raw"][rows]], dtype=pl.String)
    raw_line = shorten(bad["line"]).scatter(rows, texts)
    return bad.select("line_number", "reason", raw_line=raw_line)


def _finished(good: list[pl.DataFrame], bad: pl.DataFrame, origin: Origin) -> ParsedFile:
    """Complete rows and quarantined lines with what is the same for all lines of a file."""
    parts = [frame for frame in good if frame.height]
    if len(parts) > 1:
        rows = pl.concat(parts).sort("line_number")
    else:
        rows = parts[0] if parts else _ROWS.to_frame()
    return ParsedFile(
        rows.with_columns(origin.columns()).select(list(_ROWS)),
        bad.with_columns(origin.columns(), p_stage=pl.lit("read")).select(list(_QUARANTINED)),
    )


def _rows(judged: pl.DataFrame) -> pl.DataFrame:
    """Rows of lines that may be written in any way: the text of those whose body may turn out
    to be of no use is kept, for that is found out when it is decoded, far from the file."""
    named = judge_bodies(judged["BodyMessage"])
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
