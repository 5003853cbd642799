"""Readable lines of hours -> their distinct events, and the lines whose body is of no use.

Belongs here: identity and deduplication of events. Does not: the decoding of bodies, and
reading or writing tables.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
import polars_hash as plh

from kpi_platform.cleaned.bodies import decode_trimmed
from kpi_platform.cleaned.carried_attributes import count_carried, summed
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES, CleanedEvents, QuarantinedEvents
from kpi_platform.schemas.texts.body_text import BLANKS, NUL, REPLACEMENT

UNASSIGNED = "unassigned"
KEPT_BYTES = 64 * 1024
# Rows decoded at a time.
SLICE_ROWS = 100_000
# Up to so many events at a time all are asked what they carry, of more one of so many.
COUNTED_WHOLE, ONE_OF = 5_000, 16

# Digits of pi, made odd: numbers that nobody chose.
_WEIGHTS = (
    0x243F6A8885A308D313198A2E03707345,
    0xA4093822299F31D0082EFA98EC4E6C89,
    0x452821E638D01377BE5466CF34E90C6D,
    0xC0AC29B7C97C50DD3F84D5B5B5470917,
    0x9216D5D98979FB1BD1310BA698DFB5AD,
    0x2FFD72DBD01ADFB7B8E1AFED6A267E97,
    0xBA7C9045F12C7F9924A19947B3916CF7,
)
_HEX = pl.Series([f"{word:04x}" for word in range(1 << 16)])
_EVENTS = CleanedEvents.to_polars_schema()
_QUARANTINED = QuarantinedEvents.to_polars_schema()
# What is held of an event until all are known; its hour is a number, of hours since 1970.
_HELD = pl.Schema(
    {
        "hour": pl.Int32(),
        **{name: _EVENTS[name] for name in _EVENTS if name not in ("studio", "game", *INGEST_HOUR)},
        "event_id": pl.UInt128(),
        "file": pl.UInt32(),
    }
)
# The number of what is no file: rows of warehouses.
_NO_FILE = 0


_SOURCE = [*INGEST_HOUR, "source"]
_FIRST, _LAST = "min_event_at", "max_event_at"
_IDS = ("ids_low", "ids_high")


@dataclass(frozen=True)
class CleanedLines:
    """What became of readable lines: every one is an event, quarantined or a copy.

    `events`: columns of `cleaned_events`. `quarantined`: columns of `quarantined_events`, stage
    `decode`. `accounts`: as `EventCleaner.accounts`.
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


def stored_accounts(events: pl.LazyFrame) -> pl.DataFrame:
    """Of rows of `cleaned_events`, per ingest hour and source, what `EventCleaner.accounts` says of
    events: `rows`, `min_event_at`, `max_event_at`, `ids_low`, `ids_high`."""
    low, high = (
        pl.col("event_id").str.slice(start, 16).str.to_integer(base=16, dtype=pl.UInt64).sum()
        for start in (16, 0)
    )
    return (
        events.group_by(_SOURCE)
        .agg(
            rows=pl.len().cast(pl.Int64),
            min_event_at=pl.col("event_at").min(),
            max_event_at=pl.col("event_at").max(),
            ids_low=low,
            ids_high=high,
        )
        .collect()
    )


class EventCleaner:
    """Cleans whole ingest hours whose lines come in parts; holds decoded events, not the lines.

    Call `add` for every part, then the others. The parts may be cut and ordered in any way. Many
    small hours cost hardly more than one of their size.
    """

    def __init__(self, sources: pl.DataFrame) -> None:
        self._sources = sources.select("source", "studio", "game")
        self._good = [pl.DataFrame(schema=_HELD)]
        self._bad = [_QUARANTINED.to_frame()]
        self._sums: list[pl.DataFrame] = []
        # Each file of an hour and source by its number.
        self._files: dict[tuple[int, str, str], int] = {}
        self._carried: list[pl.DataFrame] = []
        self._distinct: pl.Series | None = None

    def add(self, raw: pl.DataFrame) -> None:
        """Decode some lines (columns of `raw_telemetry`)."""
        self.add_all([raw])

    def add_all(self, parts: Iterable[pl.DataFrame], *, are_files: bool = True) -> None:
        """Decode lines that come in parts, several at a time while the next part is read.

        `are_files`: `file_name` names files; otherwise each line is a row of its own.
        """
        workers = pl.thread_pool_size()
        with ThreadPoolExecutor(workers) as executor:
            waiting: deque[Future[_Decoded]] = deque()
            for part in parts:
                for piece in part.iter_slices(SLICE_ROWS):
                    waiting.append(executor.submit(_decode, piece, are_files=are_files))
                    if len(waiting) > workers:
                        self._keep(waiting.popleft().result())
            while waiting:
                self._keep(waiting.popleft().result())

    def _keep(self, decoded: "_Decoded") -> None:
        numbers = [
            self._files.setdefault(file, len(self._files) + 1) for file in decoded.files.iter_rows()
        ] or [_NO_FILE]
        number = pl.lit(pl.Series(numbers, dtype=pl.UInt32)).gather(pl.col("file"))
        self._good.append(decoded.good.with_columns(file=number))
        self._bad.append(decoded.bad)
        self._sums.append(decoded.sums)
        self._carried.append(decoded.carried)
        self._distinct = None

    def add_quarantined(self, bad: pl.DataFrame) -> None:
        """Take lines that were found to be of no use before (columns of `quarantined_events`)."""
        self._bad.append(bad.select(list(_QUARANTINED)))

    def events(self) -> Iterator[pl.DataFrame]:
        """Give out the distinct events, some at a time, as they came: columns of
        `cleaned_events`."""
        workers = pl.thread_pool_size()
        with ThreadPoolExecutor(workers) as executor:
            # While the caller writes one part, the next are made.
            ahead: deque[Future[pl.DataFrame]] = deque()
            for part, mask in self._with_masks():
                ahead.append(executor.submit(_complete, part, mask, self._sources))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def quarantined(self) -> pl.DataFrame:
        """The lines whose body could not be used, in the order of hours, files and lines."""
        return pl.concat(self._bad).sort(*INGEST_HOUR, "source", "file_name", "line_number")

    def accounts(self) -> pl.DataFrame:
        """Say what became of the lines: one row per ingest hour and source that has lines.

        Columns: the ingest hour, `source`; `rows` (distinct events), `duplicates` (copies beyond
        the first), `undecoded` (quarantined); `min_event_at`, `max_event_at`; `ids_low`,
        `ids_high` (the sums of both halves of the event ids, which wrap: equal for equal events).
        """
        copies = [part.filter(~mask) for part, mask in self._with_masks() if not mask.all()]
        less = _sums(copies).rename({name: f"{name}_less" for name in ("rows", *_IDS)})
        bad = pl.concat(self._bad).group_by(_SOURCE).agg(undecoded=pl.len().cast(pl.Int64))
        counted = (
            pl.concat([_sums([]), *self._sums])
            .group_by("hour", "source")
            .agg(pl.col("rows", *_IDS).sum(), pl.col(_FIRST).min(), pl.col(_LAST).max())
            .join(less.drop(_FIRST, _LAST), on=["hour", "source"], how="left")
            .with_columns(duplicates=pl.col("rows_less").fill_null(0))
            .with_columns(pl.col(f"{name}_less").fill_null(0) for name in ("rows", *_IDS))
            .with_columns(pl.col(name) - pl.col(f"{name}_less") for name in ("rows", *_IDS))
            .with_columns(*_ingest_hour())
        )
        numbers = pl.col("rows", "duplicates", "undecoded", *_IDS).fill_null(0)
        return (
            counted.join(bad, on=_SOURCE, how="full", coalesce=True)
            .select(*_SOURCE, numbers, _FIRST, _LAST)
            .sort(_SOURCE)
        )

    def file_accounts(self) -> pl.DataFrame:
        """Say what became of the lines file by file.

        Columns: the ingest hour, `source`, `path`; `rows`, `duplicates` (copies of which another
        is the row: the first by path), `undecoded`.
        """
        counted = [
            part.select("file", is_row=mask)
            .group_by("file")
            .agg(
                rows=pl.col("is_row").sum().cast(pl.Int64),
                duplicates=(~pl.col("is_row")).sum().cast(pl.Int64),
            )
            for part, mask in self._with_masks()
        ]
        files = pl.DataFrame(
            [(number, *file) for file, number in self._files.items()],
            {"file": pl.UInt32, "hour": pl.Int32, "source": pl.String, "path": pl.String},
            orient="row",
        )
        good = (
            pl.concat(counted)
            .group_by("file")
            .agg(pl.col("rows", "duplicates").sum())
            .join(files, on="file")
            .with_columns(*_ingest_hour())
        )
        bad = pl.concat(self._bad).rename({"file_name": "path"}).group_by(*_SOURCE, "path")
        undecoded = bad.agg(undecoded=pl.len().cast(pl.Int64))
        key = [*_SOURCE, "path"]
        return good.join(undecoded, on=key, how="full", coalesce=True).select(
            *key, pl.col("rows", "duplicates", "undecoded").fill_null(0)
        )

    def first_files(self) -> pl.DataFrame:
        """The distinct events and the first file of each: `event_id` (as in `cleaned_events`),
        `source`, `path`, and what its lines say of them: `service_name`, `session_id`,
        `transaction_id`, `event_at`. Of rows of files only."""
        files = pl.DataFrame(
            [(number, path) for (*_, path), number in self._files.items()],
            {"file": pl.UInt32, "path": pl.String},
            orient="row",
        )
        every = pl.concat(part.filter(mask) for part, mask in self._with_masks())
        return every.join(files, on="file").select(
            _hexadecimal(pl.col("event_id")).alias("event_id"),
            *("source", "path", "service_name", "session_id", "transaction_id", "event_at"),
        )

    def _ranks(self) -> pl.Series:
        """The place of each file, by its number, in the order of paths; what is none is last."""
        order = sorted(self._files, key=lambda file: (file[2], file))
        ranks = [len(order)] * (len(order) + 1)
        for rank, file in enumerate(order):
            ranks[self._files[file]] = rank
        return pl.Series(ranks, dtype=pl.UInt32)

    def carried(self) -> pl.DataFrame:
        """Say how many events of each service carry what is read of them: the columns of
        `event_attributes`."""
        counts = summed(self._carried).with_columns(*_ingest_hour())
        return counts.select(
            pl.col(name).cast(dtype)
            for name, dtype in TABLES["event_attributes"].polars_schema.items()
        )

    def _with_masks(self) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
        """The held parts, and which of their rows are given out: of copies, which share hour and
        id, the first; they are all alike."""
        if self._distinct is None:
            self._distinct = _first_of_copies(
                pl.concat(part.select("hour", "event_id", "file") for part in self._good),
                self._ranks(),
            )
        start = 0
        for part in self._good:
            yield part, self._distinct.slice(start, part.height)
            start += part.height


def _first_of_copies(ids: pl.DataFrame, ranks: pl.Series) -> pl.Series:
    """Whether each row (`hour`, `event_id`, `file`) is the first of its kind, in the order of the
    files' ranks."""
    halves = ids.select(_low(pl.col("event_id")).alias("half"))
    # Few halves agree; only what has one of those is looked at exactly, which is far slower.
    agree = halves.lazy().group_by("half").len().filter(pl.col("len") > 1).collect()
    suspects = halves["half"].is_in(agree["half"].implode())
    alike = ids.filter(suspects).with_columns(at=suspects.arg_true())
    ordered = alike.sort(pl.lit(ranks).gather(pl.col("file")), "at")
    is_first = ordered.select(pl.struct("hour", "event_id").is_first_distinct()).to_series()
    return pl.repeat(value=True, n=ids.height, eager=True).scatter(ordered["at"], is_first)


def _sums(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Per hour (a number) and source of held events: how many, their first and last time, and
    the sums of both halves of their ids."""
    return (
        pl.concat([pl.DataFrame(schema=_HELD), *parts])
        .group_by("hour", "source")
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("event_at").min().alias(_FIRST),
            pl.col("event_at").max().alias(_LAST),
            _low(pl.col("event_id")).sum().alias("ids_low"),
            _high(pl.col("event_id")).sum().alias("ids_high"),
        )
    )


class _Decoded(NamedTuple):
    """The events of lines, copies included, the lines without, the sums of the events, the files
    (`hour`, `source`, `path`) of which the events' `file` is the number, and what the events
    carry."""

    good: pl.DataFrame
    bad: pl.DataFrame
    sums: pl.DataFrame
    files: pl.DataFrame
    carried: pl.DataFrame


def _decode(raw: pl.DataFrame, *, are_files: bool) -> _Decoded:
    raw, files = _numbered(raw, are_files=are_files)
    bodies = raw["body_message"].str.strip_chars(BLANKS).alias("body")
    read = decode_trimmed(bodies, raw["event_name"])
    decoded = raw.drop("event_name").hstack([bodies, *read.iter_columns()])
    bad = decoded.filter(pl.col("reason").is_not_null())
    good = decoded.filter(pl.col("reason").is_null()) if bad.height else decoded
    # Whichever way a line came, its texts pass here or `decode_body` before any database: without
    # this one NUL would stop every build on PostgreSQL. The identity is of what was sent.
    storable = {
        name: pl.col(column).str.replace_all(NUL, REPLACEMENT, literal=True)
        for name, column in (("service_name", "service_name"), ("session_id", "title_session_id"))
    }
    events = good.select(
        "source",
        "event_name",
        "attributes",
        hour=pl.col("p_ingest_date_utc").to_physical() * 24 + pl.col("p_ingest_hour_utc"),
        **storable,
        transaction_id="title_transaction_id",
        event_at="event_timestamp_utc",
        event_id=_identity(),
        file="file",
    )
    held = events.select(list(_HELD))
    carried = count_carried(held, _sampled(held))
    return _Decoded(held, _quarantined(bad), _sums([held]), files, carried)


def _numbered(raw: pl.DataFrame, *, are_files: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines with the number of their `file`, and the files: lines of one lie together."""
    place = raw.select(
        "source",
        hour=pl.col("p_ingest_date_utc").to_physical() * 24 + pl.col("p_ingest_hour_utc"),
        path="file_name",
    ).select("hour", "source", "path")
    if not are_files:
        return raw.with_columns(file=pl.lit(_NO_FILE, pl.UInt32)), place.clear()
    starts = place.select(
        pl.any_horizontal(pl.all().ne_missing(pl.all().shift())).alias("starts")
    ).to_series()
    number = (starts.cum_sum() - 1).cast(pl.UInt32).alias("file")
    return raw.with_columns(number), place.filter(starts)


def _sampled(held: pl.DataFrame) -> pl.DataFrame:
    """The events whose attributes are looked at: of many, those of some ids, which tell the shares
    as well and cost a part of the time. How many events there are is counted of all."""
    if held.height <= COUNTED_WHOLE:
        return held
    return held.filter(_low(pl.col("event_id")) % ONE_OF == 0)


def _ingest_hour() -> tuple[pl.Expr, pl.Expr]:
    """The columns of the ingest hour, from its number."""
    return (
        (pl.col("hour") // 24).cast(pl.Date).alias("p_ingest_date_utc"),
        (pl.col("hour") % 24).alias("p_ingest_hour_utc"),
    )


def _identity() -> pl.Expr:
    """A 128-bit hash of what makes two lines the same event (`event_name` as decoded,
    `body` trimmed).

    The sum, modulo 2^128, of each part's own hash times the part's own odd number: the same text
    counts differently in different parts, and no parts run together.
    """
    at = pl.col("event_timestamp_utc").to_physical().cast(pl.String)
    parts = (
        pl.col("source"),
        pl.col("service_name"),
        pl.col("title_session_id"),
        pl.col("event_name"),
        pl.col("title_transaction_id").cast(pl.String),
        at,
        pl.col("body"),
    )
    return pl.sum_horizontal(
        plh.NonCryptographicHashingNameSpace(part).xxh3_128() * pl.lit(weight, pl.UInt128)
        for part, weight in zip(parts, _WEIGHTS, strict=True)
    )


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


def _complete(held: pl.DataFrame, mask: pl.Series, sources: pl.DataFrame) -> pl.DataFrame:
    """Columns of `cleaned_events` for the held events that the mask names."""
    events = held if mask.all() else held.filter(mask)
    named = events.join(sources, on="source", how="left", maintain_order="left")
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
