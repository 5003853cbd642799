"""Rows of a studio's table or a console feed -> lines of the conformed event model, by a mapping.

Belongs here: what a mapping makes of rows, and why a row is of no use. Does not: identity and
copies (`events.py`), which version of a row counts (`row_versions.py`), reading tables.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import polars_hash as plh

from kpi_platform.schemas.mapped_values import (
    NUMBERS,
    decode_rows,
    holds,
    instant_of,
    origin_of,
    value_of,
)
from kpi_platform.schemas.numbers import each_text
from kpi_platform.schemas.source_tables import EventMapping
from kpi_platform.schemas.source_values import Value
from kpi_platform.schemas.tables import INGEST_HOUR, QuarantinedEvents, RawTelemetry

PLAYER_ID = "PlayerId"
LONGEST_ID = 1024
KEPT_BYTES = 64 * 1024
# No console or warehouse is older: earlier times are zeros and defaults, not events.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
# The first that applies is the reason why a row is of no use.
ROW_REASONS = (
    "missing_event_name",
    "bad_timestamp",
    "bad_transaction_id",
    "bad_player_id",
    "bad_number",
    "implausible_timestamp",
    "future_timestamp",
)
_LINES = RawTelemetry.to_polars_schema()
_QUARANTINED = QuarantinedEvents.to_polars_schema()
_ORIGIN = ("source", "file_name", "line_number", *INGEST_HOUR)
_LEFT_OUT = ("source", "file_name", *INGEST_HOUR)
_PLACE = "place of the row"


@dataclass(frozen=True)
class Conformed:
    """What became of rows: every one is a line, quarantined or left out.

    `lines`: columns of `raw_telemetry`. `quarantined`: columns of `quarantined_events`, stage
    `decode`. `left_out`: ingest hour, `source` and `file_name` of every row that is no event by
    the mapping or that the studio marks as deleted.
    """

    lines: pl.DataFrame
    quarantined: pl.DataFrame
    left_out: pl.DataFrame


@dataclass(frozen=True)
class RowOrigin:
    """What all rows of one mapping share: the service of their lines unless the mapping names
    one, how long after its ingest hour an event may claim to be, and the mark before decimals."""

    service_name: str
    category: str = "Warehouse"
    future_limit: timedelta = timedelta(hours=24)
    decimal: str = "."


def conform(rows: pl.DataFrame, mapping: EventMapping, origin: RowOrigin) -> Conformed:
    """Map rows (`row`: JSON of texts; `row_key`: what identifies the row, or null; `source`,
    `file_name`, `line_number`, ingest hour) to lines.

    Columns that the mapping does not name become attributes under their own names, and so do
    those whose value it changes (cents, renamed values): nothing of the row is lost. A row without
    a transaction id of its own gets a hash of its key, so that equal rows of two keys are two
    events. The result depends on nothing but the row and its hour.
    """
    fields = decode_rows(rows["row"], set().union(*mapping.columns_by_use().values()))
    found = fields.with_row_index(_PLACE).select(
        _PLACE, **_facts(mapping, origin), body_message=_body(mapping, fields.columns, origin)
    )
    judged = (
        rows.select(*_ORIGIN, "row_key", raw_line="row")
        .hstack(found.drop(_PLACE))
        .with_columns(
            transaction_id=pl.coalesce("transaction_id", _hash_of_key()), reason=_reason(origin)
        )
    )
    events = judged.filter("is_event")
    return Conformed(
        lines=_lines(events.filter(pl.col("reason").is_null()), origin),
        quarantined=_quarantined(events.filter(pl.col("reason").is_not_null())),
        left_out=judged.filter(~pl.col("is_event")).select(_LEFT_OUT),
    )


def _facts(mapping: EventMapping, origin: RowOrigin) -> dict[str, pl.Expr]:
    """What the mapping says of each row besides its attributes."""
    nothing = pl.lit(None, pl.String)

    def text(value: Value | None) -> pl.Expr:
        return nothing if value is None else value_of(value)

    transaction = text(mapping.transaction_id)
    is_event = pl.lit(value=True) if mapping.only is None else holds(mapping.only)
    is_deleted = pl.lit(value=False) if mapping.deleted is None else holds(mapping.deleted)
    bad_numbers = [
        origin_of(value).is_not_null()
        & (origin_of(value).str.strip_chars() != "")
        & _number(value, origin).is_null()
        for name, value in mapping.attributes.items()
        if _is_number(name, value)
    ]
    at = pl.lit(None, pl.Datetime("us", "UTC"))
    return {
        "event_name": text(mapping.event).str.strip_chars(),
        "event_timestamp_utc": at if mapping.event_at is None else instant_of(mapping.event_at),
        "service_name": pl.coalesce(
            _unless_blank(text(mapping.service_name)), pl.lit(origin.service_name)
        ),
        "title_session_id": text(mapping.session_id).fill_null("").str.strip_chars(),
        "transaction_id": transaction.str.strip_chars().cast(pl.Int64, strict=False),
        "is_bad_transaction": transaction.is_not_null()
        & transaction.str.strip_chars().cast(pl.Int64, strict=False).is_null(),
        "is_bad_player": (text(mapping.player_id).str.len_chars() > LONGEST_ID).fill_null(
            value=False
        ),
        "is_bad_number": pl.any_horizontal(pl.lit(value=False), *bad_numbers).fill_null(
            value=False
        ),
        "is_event": is_event & ~is_deleted,
    }


def _is_so(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(value=False)


def _unless_blank(text: pl.Expr) -> pl.Expr:
    stripped = text.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _is_number(name: str, value: Value) -> bool:
    return name in NUMBERS or value.scale != 1 or value.negative_when is not None


def _number(value: Value, origin: RowOrigin) -> pl.Expr:
    return value_of(value, is_number=True, decimal=origin.decimal)


def _reason(origin: RowOrigin) -> pl.Expr:
    at = pl.col("event_timestamp_utc")
    hour = pl.col("p_ingest_date_utc").cast(pl.Datetime("us", "UTC")) + pl.duration(
        hours=pl.col("p_ingest_hour_utc") + 1
    )
    applies = (
        pl.col("event_name").fill_null("") == "",
        at.is_null(),
        pl.col("is_bad_transaction"),
        pl.col("is_bad_player"),
        pl.col("is_bad_number"),
        at < EARLIEST,
        at >= hour + origin.future_limit,
    )
    reasons = zip(applies, ROW_REASONS, strict=True)
    return pl.coalesce(pl.when(is_so).then(pl.lit(reason)) for is_so, reason in reasons)


def _hash_of_key() -> pl.Expr:
    key = pl.concat_str(
        pl.col("file_name").str.replace("#.*$", ""), pl.lit("\n"), pl.col("row_key")
    )
    hashed = plh.NonCryptographicHashingNameSpace(key).xxh3_64()
    return hashed.reinterpret(signed=True).fill_null(0)


def _body(mapping: EventMapping, columns: list[str], origin: RowOrigin) -> pl.Expr:
    """The body as JSON text: what the studio calls it first, then ours, since the last counts."""
    own = {name: _attribute(name, value, origin) for name, value in mapping.attributes.items()}
    named = (("PlayerId", mapping.player_id), ("Platform", mapping.platform))
    own |= {name: value_of(value) for name, value in named if value is not None}
    if mapping.event is not None:
        own["Name"] = value_of(mapping.event)
    members = [_members(name) for name in mapping.json_columns]
    passed = [_member(_apart(name), pl.col(name)) for name in _passed(mapping, columns)]
    pieces = [*passed, *members, *(_member(name, text) for name, text in own.items())]
    return pl.concat_str(
        pl.lit("{"), pl.concat_str(pieces, separator=",", ignore_nulls=True), pl.lit("}")
    )


def _attribute(name: str, value: Value, origin: RowOrigin) -> pl.Expr:
    return _number(value, origin) if _is_number(name, value) else value_of(value)


def _passed(mapping: EventMapping, columns: list[str]) -> list[str]:
    """Columns kept under their own names: all but those that are only renamed, or spelled out."""
    values = mapping.values()
    only_renamed = {
        value.column
        for name, value in values.items()
        if value.column and not value.path and not value.names and not _is_number(name, value)
    }
    return [
        name
        for name in sorted(columns)
        if name not in only_renamed
        and name not in mapping.json_columns
        and name not in mapping.ignore
    ]


def _apart(name: str) -> str:
    """A column called `Name` is no event's name."""
    return "Name (column)" if name == "Name" else name


def _member(name: str, text: pl.Expr) -> pl.Expr:
    """`"name":"value"`, or null if the value is null."""
    quoted = pl.struct(text.alias(name)).struct.json_encode()
    return pl.when(text.is_not_null()).then(quoted.str.slice(1).str.head(-1))


def _members(column: str) -> pl.Expr:
    """The members of the JSON object in a column; anything else stays under the column's name."""

    def spelled(text: str) -> str | None:
        try:
            found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            found = text
        members = found if isinstance(found, dict) else {column: text}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":"))[1:-1] or None

    return each_text(pl.col(column), spelled)


def _lines(events: pl.DataFrame, origin: RowOrigin) -> pl.DataFrame:
    return events.with_columns(
        category=pl.lit(origin.category),
        title_transaction_id="transaction_id",
        raw_line=pl.lit(None, pl.String),
    ).select(pl.col(name).cast(dtype) for name, dtype in _LINES.items())


def _quarantined(bad: pl.DataFrame) -> pl.DataFrame:
    long = pl.col("raw_line").str.len_bytes() > KEPT_BYTES
    kept = pl.when(long).then(pl.col("raw_line").str.head(KEPT_BYTES // 4)).otherwise("raw_line")
    return bad.with_columns(kept.alias("raw_line"), p_stage=pl.lit("decode")).select(
        pl.col(name).cast(dtype) for name, dtype in _QUARANTINED.items()
    )
