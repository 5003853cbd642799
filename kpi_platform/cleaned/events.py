"""Readable lines of hours -> their distinct events, and the lines whose body is of no use.

Belongs here: identity, deduplication and order of events. Does not: the decoding of bodies, and
reading or writing tables.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl
import polars_hash as plh

from kpi_platform.cleaned.bodies import decode_bodies
from kpi_platform.cleaned.event_order import order_distinct
from kpi_platform.schemas.body_text import BLANKS
from kpi_platform.schemas.tables import INGEST_HOUR, CleanedEvents, QuarantinedEvents

UNASSIGNED = "unassigned"
KEPT_BYTES = 64 * 1024
# Rows decoded at a time, and rows given out at a time.
SLICE_ROWS = 100_000
GIVEN_ROWS = 100_000

_HEX = pl.Series([f"{word:04x}" for word in range(1 << 16)])
_EVENTS = CleanedEvents.to_polars_schema()
_QUARANTINED = QuarantinedEvents.to_polars_schema()
# What is held of an event until all are known; its hour is a number, of hours since 1970.
_HELD = pl.Schema(
    {
        "hour": pl.Int32(),
        # Few different texts: as numbers they are cheap to hold and to sort.
        **dict.fromkeys(("source", "service_name", "event_name"), pl.Categorical()),
        "session_id": pl.String(),
        "session_hash": pl.UInt64(),
        "transaction_id": pl.Int64(),
        "event_at": _EVENTS["event_at"],
        "attributes": pl.String(),
        "event_id": pl.UInt128(),
    }
)


@dataclass(frozen=True)
class CleanedLines:
    """What became of readable lines: every one is an event, quarantined or a copy.

    `events`: columns of `cleaned_events`, in the order of `EventCleaner.events`. `quarantined`:
    columns of `quarantined_events`, stage `decode`. `accounts`: as `EventCleaner.accounts`.
    """

    events: pl.DataFrame
    quarantined: pl.DataFrame
    accounts: pl.DataFrame


def clean_events(raw: pl.DataFrame, sources: pl.DataFrame) -> CleanedLines:
    """Decode, identify and deduplicate the lines of ingest hours, held in memory.

    `raw` has the columns of `raw_telemetry`; `sources` has `source`, `studio`, `game`, one row
    per source. A source that is not listed is its own game, its studio `unassigned`. The result
    does not depend on the order of lines or files. `EventCleaner` is the same in less memory.
    """
    cleaner = EventCleaner(sources)
    cleaner.add(raw)
    events = pl.concat([_EVENTS.to_frame(), *cleaner.events()])
    return CleanedLines(events, cleaner.quarantined(), cleaner.accounts())


class EventCleaner:
    """Cleans whole ingest hours whose lines come in parts; holds decoded events, not the lines.

    Call `add` for every part, then the others. The parts may be cut and ordered in any way. Many
    small hours cost hardly more than one of their size.
    """

    def __init__(self, sources: pl.DataFrame) -> None:
        self._sources = sources.select("source", "studio", "game")
        self._good = [pl.DataFrame(schema=_HELD)]
        self._bad = [_QUARANTINED.to_frame()]
        self._order: pl.Series | None = None

    def add(self, raw: pl.DataFrame) -> None:
        """Decode some lines (columns of `raw_telemetry`)."""
        slices = list(raw.iter_slices(SLICE_ROWS))
        if len(slices) < 2:
            decoded = [_decode(part) for part in slices]
        else:
            with ThreadPoolExecutor(pl.thread_pool_size()) as executor:
                decoded = list(executor.map(_decode, slices))
        for good, bad in decoded:
            self._good.append(good)
            self._bad.append(bad)
        self._order = None

    def add_quarantined(self, bad: pl.DataFrame) -> None:
        """Take lines that were found to be of no use before (columns of `quarantined_events`)."""
        self._bad.append(bad.select(list(_QUARANTINED)))

    def events(self) -> Iterator[pl.DataFrame]:
        """Give out the distinct events, some at a time: columns of `cleaned_events`, by hour,
        source, service, session (by a stable hash of its id, far cheaper to sort than the text),
        time and event id."""
        held, order = self._held(), self._ordered()

        def given(start: int) -> pl.DataFrame:
            return _complete(held[order.slice(start, GIVEN_ROWS)], self._sources)

        if len(order) <= GIVEN_ROWS:
            yield given(0)
            return
        with ThreadPoolExecutor(1) as executor:
            # While the caller writes one part, the next is made.
            ahead = executor.submit(given, 0)
            for start in range(GIVEN_ROWS, len(order), GIVEN_ROWS):
                ready, ahead = ahead.result(), executor.submit(given, start)
                yield ready
            yield ahead.result()

    def quarantined(self) -> pl.DataFrame:
        """The lines whose body could not be used, in the order of hours, files and lines."""
        return pl.concat(self._bad).sort(*INGEST_HOUR, "source", "file_name", "line_number")

    def accounts(self) -> pl.DataFrame:
        """Say what became of the lines: one row per ingest hour and source that has lines.

        Columns: the ingest hour, `source`; `rows` (distinct events), `duplicates` (copies beyond
        the first), `undecoded` (quarantined); `min_event_at`, `max_event_at`; `ids_low`,
        `ids_high` (the sums of both halves of the event ids, which wrap: equal for equal events).
        """
        key = [*INGEST_HOUR, "source"]
        held = self._held().select(*_ingest_hour(), "source", "event_at", "event_id")
        good = held.group_by(key).agg(pl.len().cast(pl.Int64).alias("good"))
        bad = pl.concat(self._bad).group_by(key).agg(pl.len().cast(pl.Int64).alias("undecoded"))
        distinct = (
            held[self._ordered()]
            .group_by(key)
            .agg(
                pl.len().cast(pl.Int64).alias("rows"),
                pl.col("event_at").min().alias("min_event_at"),
                pl.col("event_at").max().alias("max_event_at"),
                _low(pl.col("event_id")).sum().alias("ids_low"),
                _high(pl.col("event_id")).sum().alias("ids_high"),
            )
        )
        texts = [part.cast({"source": pl.String}) for part in (good, distinct)]
        counted = texts[0].join(texts[1], on=key).join(bad, on=key, how="full", coalesce=True)
        zeros = pl.col("good", "rows", "undecoded", "ids_low", "ids_high").fill_null(0)
        return (
            counted.with_columns(zeros)
            .with_columns(duplicates=pl.col("good") - pl.col("rows"))
            .drop("good")
            .sort(key)
        )

    def _held(self) -> pl.DataFrame:
        if len(self._good) > 1:
            self._good = [pl.concat(self._good, rechunk=True)]
        return self._good[0]

    def _ordered(self) -> pl.Series:
        """Which held rows are given out, in which order; of copies one, and they are all alike."""
        if self._order is None:
            self._order = order_distinct(self._held())
        return self._order


def _decode(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events of lines, copies included, and the lines without."""
    decoded = raw.drop("event_name").hstack(decode_bodies(raw["body_message"], raw["event_name"]))
    bad = decoded.filter(pl.col("reason").is_not_null())
    good = decoded.filter(pl.col("reason").is_null()) if bad.height else decoded
    events = good.select(
        "source",
        "service_name",
        "event_name",
        "attributes",
        hour=pl.col("p_ingest_date_utc").to_physical() * 24 + pl.col("p_ingest_hour_utc"),
        session_id="title_session_id",
        transaction_id="title_transaction_id",
        event_at="event_timestamp_utc",
        event_id=_identity(),
        session_hash=plh.NonCryptographicHashingNameSpace(pl.col("title_session_id")).xxh3_64(),
    )
    return events.select(list(_HELD)).cast(_HELD), _quarantined(bad)


def _ingest_hour() -> tuple[pl.Expr, pl.Expr]:
    """The columns of the ingest hour, from its number."""
    return (
        (pl.col("hour") // 24).cast(pl.Date).alias("p_ingest_date_utc"),
        (pl.col("hour") % 24).alias("p_ingest_hour_utc"),
    )


def _identity() -> pl.Expr:
    """A 128-bit hash of what makes two lines the same event (`event_name` as decoded).

    Every text but the last is written with its length, so that no two identities share a text.
    """
    parts: list[pl.Expr] = []
    for column in ("source", "service_name", "title_session_id", "event_name"):
        parts += [pl.col(column).str.len_bytes().cast(pl.String), pl.lit(":"), pl.col(column)]
    for number in ("title_transaction_id", "event_timestamp_utc"):
        parts += [pl.lit(";"), pl.col(number).to_physical().cast(pl.String)]
    text = pl.concat_str(*parts, pl.lit(";"), pl.col("body_message").str.strip_chars(BLANKS))
    return plh.NonCryptographicHashingNameSpace(text).xxh3_128()


def _high(number: pl.Expr) -> pl.Expr:
    return (number // pl.lit(1 << 64, pl.UInt128)).cast(pl.UInt64)


def _low(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.UInt64, wrap_numerical=True)


def _hexadecimal(number: pl.Expr) -> pl.Expr:
    """Write a UInt128 as 32 digits: eight words looked up, as Polars formats no hexadecimal."""
    return pl.concat_str(
        pl.lit(_HEX).gather(half // (1 << shift) % (1 << 16))
        for half in (_high(number), _low(number))
        for shift in (48, 32, 16, 0)
    )


def _complete(events: pl.DataFrame, sources: pl.DataFrame) -> pl.DataFrame:
    texts = events.cast({"source": pl.String, "service_name": pl.String, "event_name": pl.String})
    named = texts.join(sources, on="source", how="left", maintain_order="left")
    return named.with_columns(
        *_ingest_hour(),
        _hexadecimal(pl.col("event_id")).alias("event_id"),
        pl.col("studio").fill_null(UNASSIGNED),
        pl.col("game").fill_null(pl.col("source")),
    ).select(list(_EVENTS))


def _quarantined(bad: pl.DataFrame) -> pl.DataFrame:
    """The line's own text, kept when it was read; where it was not, one written anew."""
    kept = bad.with_columns(
        raw_line=pl.coalesce("raw_line", _line_anew()), p_stage=pl.lit("decode")
    )
    long = (kept["raw_line"].str.len_bytes() > KEPT_BYTES).arg_true()
    cut = [text.encode()[:KEPT_BYTES].decode(errors="ignore") for text in kept["raw_line"][long]]
    shortened = kept["raw_line"].scatter(long, pl.Series(cut, dtype=pl.String))
    return kept.with_columns(shortened).select(list(_QUARANTINED))


def _line_anew() -> pl.Expr:
    """A line made from its fields: tabs between them, the time in UTC."""
    at = pl.col("event_timestamp_utc")
    return pl.concat_str(
        "category",
        pl.when(at.dt.microsecond() % 1000 == 0)
        .then(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000"))
        .otherwise(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+0000")),
        "service_name",
        "title_session_id",
        pl.col("title_transaction_id").cast(pl.String),
        "body_message",
        separator="\t",
    )
