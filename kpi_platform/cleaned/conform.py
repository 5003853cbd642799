"""Rows of a studio's table or a console feed -> lines of the conformed event model, by a mapping.

Belongs here: what a mapping makes of rows, and why a row is of no use. Does not: identity and
copies (`events.py`), which version of a row counts (`row_versions.py`), reading tables.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl
import polars_hash as plh

from kpi_platform.schemas.sources_file.mapped_values import (
    EARLIEST,
    NUMBERS,
    decode_rows,
    field,
    field_name,
    holds,
    instant_of,
    origin_of,
    states_another_currency,
    value_of,
)
from kpi_platform.schemas.sources_file.source_tables import EventMapping
from kpi_platform.schemas.sources_file.source_values import Value
from kpi_platform.schemas.tables import INGEST_HOUR, QuarantinedEvents, RawTelemetry
from kpi_platform.schemas.texts.json_text import read_json, write_json
from kpi_platform.schemas.texts.numbers import NumberForm, each_text
from kpi_platform.schemas.texts.row_faults import NOT_MAPPED, judge_apart, kept_row

PLAYER_ID = "PlayerId"
LONGEST_ID = 1024
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
    decimal: Literal[".", ","] = "."


def conform(rows: pl.DataFrame, mapping: EventMapping, origin: RowOrigin) -> Conformed:
    """Map rows (`row`: JSON of texts; `row_key`: what identifies the row, or null; `source`,
    `file_name`, `line_number`, ingest hour) to lines.

    Columns that the mapping does not name become attributes under their own names, and so do
    those whose value it changes (cents, renamed values): nothing of the row is lost. A row without
    a transaction id of its own gets a hash of its key, so that equal rows of two keys are two
    events. The result depends on nothing but the row and its hour.
    """
    parts, failed = judge_apart(rows, lambda some: _conform(some, mapping, origin))
    bad = unmapped(failed)
    return Conformed(
        lines=pl.concat([_LINES.to_frame(), *(part.lines for part in parts)]),
        quarantined=pl.concat([bad, *(part.quarantined for part in parts)]),
        left_out=pl.concat([_no_event(failed.clear()), *(part.left_out for part in parts)]),
    )


def unmapped(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows on which their mapping fails, as columns of `quarantined_events`."""
    return _quarantined(rows.select(*_ORIGIN, raw_line="row", reason=pl.lit(NOT_MAPPED)))


def _conform(rows: pl.DataFrame, mapping: EventMapping, origin: RowOrigin) -> Conformed:
    fields = decode_rows(rows["row"], set().union(*mapping.columns_by_use().values()))
    columns = [name.removeprefix(field_name("")) for name in fields.columns]
    found = fields.select(
        pl.int_range(pl.len()).alias("place"),
        **_facts(mapping, columns, origin),
        body_message=_body(mapping, columns, origin),
    )
    judged = (
        rows.select(*_ORIGIN, "row_key", raw_line="row")
        .hstack(found.drop("place"))
        .with_columns(
            transaction_id=pl.coalesce("transaction_id", _hash_of_key()), reason=_reason(origin)
        )
    )
    events = judged.filter("is_event")
    return Conformed(
        lines=_lines(events.filter(pl.col("reason").is_null()), origin),
        quarantined=_quarantined(events.filter(pl.col("reason").is_not_null())),
        left_out=_no_event(judged.filter(~pl.col("is_event"))),
    )


def _facts(mapping: EventMapping, columns: list[str], origin: RowOrigin) -> dict[str, pl.Expr]:
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
        & _number(name, value, origin).is_null()
        for name, value in mapping.attributes.items()
        if _is_number(name, value)
    ]
    if (amount := mapping.attributes.get("Amount")) is not None:
        bad_numbers.append(states_another_currency(amount, _currency(mapping, columns)))
    at, when = pl.lit(None, pl.Datetime("us", "UTC")), mapping.event_at
    return {
        "event_name": text(mapping.event).str.strip_chars(),
        "event_timestamp_utc": at if when is None else instant_of(when, field(when.column)),
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


def _currency(mapping: EventMapping, columns: list[str]) -> pl.Expr:
    """The currency of a row's amount: mapped, or a column that is called so."""
    if (mapped := mapping.attributes.get("Currency")) is not None:
        return value_of(mapped)
    return field("Currency") if "Currency" in columns else pl.lit(None, pl.String)


def _unless_blank(text: pl.Expr) -> pl.Expr:
    stripped = text.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _is_number(name: str, value: Value) -> bool:
    return name in NUMBERS or value.scale != 1 or value.negative_when is not None


def _number(name: str, value: Value, origin: RowOrigin) -> pl.Expr:
    return value_of(value, NumberForm(NUMBERS.get(name, "number"), origin.decimal))


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
    member_texts = {
        name: _attribute(name, value, origin) for name, value in mapping.attributes.items()
    }
    named = (("PlayerId", mapping.player_id), ("Platform", mapping.platform))
    member_texts |= {name: value_of(value) for name, value in named if value is not None}
    if mapping.event is not None:
        member_texts["Name"] = value_of(mapping.event)
    members = [_members(name) for name in mapping.json_columns]
    passed = [_member(_apart(name), field(name)) for name in _passed(mapping, columns)]
    pieces = [*passed, *members, *(_member(name, text) for name, text in member_texts.items())]
    return pl.concat_str(
        pl.lit("{"), pl.concat_str(pieces, separator=",", ignore_nulls=True), pl.lit("}")
    )


def _attribute(name: str, value: Value, origin: RowOrigin) -> pl.Expr:
    return _number(name, value, origin) if _is_number(name, value) else value_of(value)


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
            found = read_json(text)
        except ValueError:
            found = text
        members = found if isinstance(found, dict) else {column: text}
        return write_json(members)[1:-1] or None

    return each_text(field(column), spelled)


def _no_event(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(_LEFT_OUT)


def _lines(events: pl.DataFrame, origin: RowOrigin) -> pl.DataFrame:
    return events.with_columns(
        category=pl.lit(origin.category),
        title_transaction_id="transaction_id",
        raw_line=pl.lit(None, pl.String),
    ).select(pl.col(name).cast(dtype) for name, dtype in _LINES.items())


def _quarantined(bad: pl.DataFrame) -> pl.DataFrame:
    raw_line = kept_row(pl.col("raw_line"))
    kept = bad.with_columns(raw_line.alias("raw_line"), p_stage=pl.lit("decode"))
    return kept.select(pl.col(name).cast(dtype) for name, dtype in _QUARANTINED.items())
