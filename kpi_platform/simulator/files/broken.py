"""Lines that cannot be used, one kind for every reason of quarantine.

Belongs here: making broken lines and saying why they are. Does not: damage to whole files.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl

from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.files.file_codes import PART, file_code, source_of
from kpi_platform.simulator.files.schedule import REASONS, Cell, Schedule
from kpi_platform.simulator.people.sessions import HOUR_MS
from kpi_platform.simulator.world import GAMES, source_index

# Stand for bytes that text cannot hold, or should not while it is moved about.
NOT_UTF8_MARK, LONG_MARK = "\ue000", "\ue001"
BROKEN_SHARE = 0.004
_FIELDS = ("Category", "Timestamp", "ServiceName", "SessionId", "TransactionId", "BodyMessage")
_SERVICES = {route.source: route.service for game in GAMES for route in game.routes}
Fields = dict[str, object]


def make_broken_lines(
    draws: Draws, lines: pl.DataFrame, schedule: Schedule, start_ms: int, hours: range
) -> pl.DataFrame:
    """Return broken lines (hour, file, arrival_ms, uid, line, reason) to add to `lines`.

    A share of every source's hour, by chance, and the scheduled ones. None equals another.
    """
    rows: list[tuple[int, int, int, int, int, str, str]] = []
    wanted = _line_counts(lines)
    due = {cell for cell in schedule.broken if cell[1] in hours}
    for source, hour in sorted(wanted.keys() | due):
        random = draws.random(f"broken {source} {hour}")
        by_chance = int(BROKEN_SHARE * wanted.get((source, hour), 0) + random.random())
        reasons = [random.choice(REASONS[1:]) for _ in range(by_chance)]
        for number, reason in enumerate([*schedule.broken.get((source, hour), []), *reasons]):
            rows.append(_row(random, source, hour, start_ms, number, reason))
    schema = pl.Schema(
        {
            "source_index": pl.Int64,
            "hour": pl.Int64,
            "lane": pl.Int64,
            "uid": pl.UInt64,
            "arrival_ms": pl.Int64,
            "line": pl.String,
            "reason": pl.String,
        }
    )
    broken = pl.DataFrame(rows, schema=schema, orient="row")
    broken = broken.with_columns(form=pl.lit(PART), origin=pl.lit(0))
    return broken.with_columns(file=file_code()).drop("source_index", "lane", "form", "origin")


def _line_counts(lines: pl.DataFrame) -> dict[Cell, int]:
    counts = lines.group_by(source_of(pl.col("file")).alias("source"), "hour").len()
    return {(source, hour): count for source, hour, count in counts.iter_rows()}


def _row(
    random: Random, source: str, hour: int, start_ms: int, number: int, reason: str
) -> tuple[int, int, int, int, int, str, str]:
    hour_ms = start_ms + hour * HOUR_MS
    arrival_ms = hour_ms + random.randrange(HOUR_MS)
    hour_at = datetime.fromtimestamp(hour_ms / 1000, UTC)
    lane = 1 if random.random() < 0.2 and reason != "line_too_long" else 0
    line = _line(random, reason, lane, _SERVICES[source], hour_at)
    return source_index(source), hour, lane, number, arrival_ms, line, reason


def _line(random: Random, reason: str, lane: int, service: str, hour_at: datetime) -> str:
    body = "{ 'Name': 'FeatureUsed', 'Feature': 'Map'}"
    values = (
        "Telemetry",
        _text(hour_at + timedelta(milliseconds=random.randrange(HOUR_MS))),
        service,
        f"{random.getrandbits(128):032X}",
        random.randrange(1000),
        body,
    )
    fields: Fields = dict(zip(_FIELDS, values, strict=True))
    _BREAKERS[reason](random, fields, hour_at)
    if lane == 1:
        return json.dumps(fields, ensure_ascii=False)
    return "\t".join(str(value) for value in fields.values())


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"


def _too_long(random: Random, fields: Fields, hour_at: datetime) -> None:
    fields["BodyMessage"] = f"{{ 'Name': 'MemoryDump', 'Data': '{LONG_MARK}'}}"


def _not_utf8(random: Random, fields: Fields, hour_at: datetime) -> None:
    fields["BodyMessage"] = f"{{ 'Name': 'ChatSent', 'Text': 'h{NOT_UTF8_MARK}llo'}}"


def _too_few_fields(random: Random, fields: Fields, hour_at: datetime) -> None:
    for name in random.choice((_FIELDS[5:], _FIELDS[3:], _FIELDS[1:])):
        del fields[name]


def _bad_timestamp(random: Random, fields: Fields, hour_at: datetime) -> None:
    fields["Timestamp"] = random.choice(("just-now", "2026-02-30T10:00:00.000+0000", "soon"))


def _bad_transaction_id(random: Random, fields: Fields, hour_at: datetime) -> None:
    fields["TransactionId"] = random.choice(("twelve", 99_999_999_999_999_999_999, "1.5", "0x1F"))


def _in_the_future(random: Random, fields: Fields, hour_at: datetime) -> None:
    limit = hour_at + timedelta(hours=25)
    beyond = random.choice((timedelta(0), timedelta(hours=5), timedelta(days=365)))
    fields["Timestamp"] = _text(limit + beyond)


def _too_late(random: Random, fields: Fields, hour_at: datetime) -> None:
    limit = hour_at - timedelta(days=30)
    beyond = random.choice((timedelta(milliseconds=1), timedelta(days=1), timedelta(days=900)))
    fields["Timestamp"] = _text(limit - beyond)


def _bad_body(random: Random, fields: Fields, hour_at: datetime) -> None:
    fields["BodyMessage"] = random.choice(("{ 'Name': 'Crash', 'Code':", "oops", "{ 'Name': "))


def _nameless(random: Random, fields: Fields, hour_at: datetime) -> None:
    fields["BodyMessage"] = random.choice(("{ 'Feature': 'Map', 'Level': 3}", "{}"))


_BREAKERS: dict[str, Callable[[Random, Fields, datetime], None]] = {
    "line_too_long": _too_long,
    "not_utf8": _not_utf8,
    "wrong_field_count": _too_few_fields,
    "bad_timestamp": _bad_timestamp,
    "bad_transaction_id": _bad_transaction_id,
    "future_timestamp": _in_the_future,
    "too_late": _too_late,
    "bad_body": _bad_body,
    "missing_event_name": _nameless,
}
