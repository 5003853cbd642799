"""Takes the telemetry lines of hours away; killed at any moment, the same command completes it.

Belongs here: the order of commits. Does not: which hours go (`lines.py`).

An hour is noted as without its lines before they go: whoever works on it from then on reads none.
Whoever had begun before has made the hour's fingerprints be forgotten, and the hour is let be.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.file_ledger import read_files
from kpi_platform.engine.books.hour_fingerprints import Consumed, read_consumed, record_consumed
from kpi_platform.engine.books.seals import dropped_hours, forget_dropped, note_dropped
from kpi_platform.engine.hour_steps import HourStep
from kpi_platform.engine.platform import Platform
from kpi_platform.retention.lines import BAD, LINES, telemetry_sources, unread_hours
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, named

_STEPS = ("raw_telemetry", "cleaned_events")


def drop_lines(platform: Platform, rows: Mapping[datetime, int]) -> list[datetime]:
    """Take the lines of these hours away (per hour their number); the hours that were let be
    because a run is working on them."""
    lake = platform.lake
    before = {table: read_consumed(lake, table, rows) for table in _STEPS}
    wanted = EventsStep.of(platform).inputs(list(rows))
    idle = [hour for hour in rows if all(hour in before[table] for table in _STEPS)]
    new = sorted(set(idle) - dropped_hours(lake, idle))
    if idle:
        note_dropped(lake, {hour: rows[hour] for hour in idle})
    inputs = _inputs(platform, idle)
    after = {table: read_consumed(lake, table, idle) for table in _STEPS}
    waiting = {
        hour
        for hour, files in read_files(lake, idle, "telemetry").items()
        if any(file.rows is None for file in files)
    }
    moved = {h for h in idle if any(after[t].get(h) != before[t][h] for t in _STEPS)}
    # Asked for after the inputs: what came before was in neither, what comes after is in none.
    busy = waiting | moved | unread_hours(platform, idle)
    forget_dropped(lake, [hour for hour in new if hour in busy])
    gone = [hour for hour in idle if hour not in busy]
    # With the note, this is what was consumed: nothing is to be done for these hours. Where events
    # are behind what feeds and warehouses gave, the next run of the hour finds it.
    current = [h for h in gone if before["cleaned_events"][h].input == wanted.get(h)]
    for table, hours in (("raw_telemetry", gone), ("cleaned_events", current)):
        record_consumed(lake, table, {h: _as_dropped(table, before, inputs, h) for h in hours})
    _take_away(lake, gone)
    return sorted({*busy, *(hour for hour in rows if hour not in idle)})


def _inputs(platform: Platform, hours: Sequence[datetime]) -> dict[str, Mapping[datetime, str]]:
    steps: tuple[HourStep, ...] = (RawStep.of(platform), EventsStep.of(platform))
    return {step.table: step.inputs(hours) for step in steps}


def _as_dropped(
    table: str,
    before: Mapping[str, Mapping[datetime, Consumed]],
    inputs: Mapping[str, Mapping[datetime, str]],
    hour: datetime,
) -> Consumed:
    known = before[table][hour]
    return Consumed(inputs[table][hour], known.content, 0 if table == LINES else known.rows)


def _take_away(lake: Lake, hours: Sequence[datetime]) -> None:
    if not hours:
        return
    nothing = {table: pl.DataFrame(schema=TABLES[table].polars_schema) for table in (LINES, BAD)}
    lake.replace_hours(LINES, nothing[LINES], hours)
    stored = lake.scan_hours(BAD, hours).filter(pl.col("p_stage").is_in(["read", "decode"]))
    if stored.head(1).collect().height:
        sources = telemetry_sources(lake, hours)
        lake.replace_hours(BAD, nothing[BAD], hours, "p_stage = 'read'")
        # Lines of feeds and warehouses that could not be decoded stay with their rows.
        where = f"p_stage = 'decode' AND {named('source', sources)}"
        lake.replace_hours(BAD, nothing[BAD], hours, where)
