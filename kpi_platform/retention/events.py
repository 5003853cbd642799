"""Which days are kept next, so that their events may go, and which ingest hours' events go.

Belongs here: asking the books, the tables' logs and the KPI database. Does not: keeping, and taking
rows away (`emptying.py`).

A day is kept, with all before it, when nothing that its events or sessions are made of can change
any more: every line that could still come, or be read anew, is of a sealed day.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl

from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.books.hour_ledger import IS_TELEMETRY
from kpi_platform.engine.books.kept_days import Closed, kept_days
from kpi_platform.engine.hour_steps import HourStep
from kpi_platform.engine.platform import Platform
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.kpis.build import lake_tables
from kpi_platform.kpis.loading.load import differing_partitions
from kpi_platform.retention.lines import line_files
from kpi_platform.retention.sealing import DAY, Sealing
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.kpi_database.embedded import built_by, connect, count, pending
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake, hours_in, hours_of
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock

EVENTS = "cleaned_events"


@dataclass
class Events:
    """What becomes of events: the last day old enough, the days that are `kept`, those to keep
    `next` or why there are none (`reason`), and the hours whose events go, with rows per hour.

    Bytes are those of the table's files.
    """

    keep_days: int
    last: date | None = None
    kept: Closed | None = None
    next: Closed | None = None
    reason: str = ""
    hour_rows: dict[datetime, int] = field(default_factory=dict)
    bytes: int = 0

    @property
    def hours(self) -> list[datetime]:
        """The hours whose events go, in order."""
        return sorted(self.hour_rows)

    @property
    def rows(self) -> int:
        """Rows of `cleaned_events` that go."""
        return sum(self.hour_rows.values())


def plan_events(
    platform: Platform, keep_days: int, sealing: Sealing, going: Collection[datetime]
) -> Events:
    """What becomes of events once the days of this plan are sealed, and the lines of the hours
    `going` are gone. Nothing changes."""
    found = Events(keep_days, kept=kept_days(platform.lake))
    if sealing.now is None:
        return found
    found.last = (sealing.now - timedelta(days=keep_days)).date() - DAY
    sealed = {*sealing.sealed, *sealing.days}
    found.next = _next(platform, found, sealed)
    if found.next is not None:
        found.reason = _in_the_way(platform, found.next, sealed, set(going))
    if found.reason:
        found.next = None
    kept = found.next or found.kept
    if kept is not None:
        _measure(platform.lake, kept.through, found)
    return found


def _next(platform: Platform, found: Events, sealed: Collection[date]) -> Closed | None:
    """The days to keep next, as far as days are sealed one after the other."""
    settings = platform.settings
    first, last = settings.start_hour.date(), found.last
    if last is None or last < first or (found.kept and last <= found.kept.through):
        return None
    unsealed = first
    while unsealed in sealed:
        unsealed += DAY
    # A session of the last day may end on the next one, and its silence a day later.
    margin = settings.late_limit + settings.future_limit + settings.session_silence + 2 * DAY
    through = min(last, _midnight(unsealed, -margin).date())
    if through < first or (found.kept and through <= found.kept.through):
        found.reason = f"{unsealed} is not sealed"
        return None
    closed = _closed(platform, through, found.kept)
    if (closed.before + settings.future_limit).date() >= unsealed:
        found.reason = f"a session of {through} or before went on for days"
        return None
    return closed


def _closed(platform: Platform, through: date, kept: Closed | None) -> Closed:
    """Up to when lines may still be of these days' sessions: hours that may hold some are
    closed."""
    settings = platform.settings
    end = _midnight(through, DAY)
    # Those of days that are kept were over before.
    sessions = platform.lake.scan("sessions").filter(
        pl.col("p_started_date_utc") <= through,
        pl.col("p_started_date_utc") > (kept.through if kept else date.min),
    )
    last = sessions.select(pl.col("ended_at").max()).collect().item()
    over = max(end, last + settings.session_silence) if last is not None else end
    before = _midnight(over.date(), DAY) + settings.late_limit
    if kept is not None:
        before = max(before, kept.before)
    return Closed(through, before, settings.session_silence)


def _in_the_way(
    platform: Platform, wanted: Closed, sealed: Collection[date], going: Collection[datetime]
) -> str:
    """Why days cannot be kept now; empty if they can."""
    lake = platform.lake
    # Rows of warehouses may be of any day, whatever their hour.
    is_near = (pl.col(INGEST_HOUR[0]) <= wanted.before.date()) | (
        pl.col("min_event_at") < wanted.before
    )
    is_other = ~IS_TELEMETRY & (pl.col("kind") != "stream") & (pl.col("rows") > 0)
    others = lake.scan("hour_ledger").filter(is_near, is_other)
    if source := others.select(pl.col("source").min()).collect().item():
        return f"rows of feeds and warehouses have no seal yet: {source} has some"
    lines = hours_in(line_files(lake, wanted.before.date()))
    if left := [hour for hour in lines if hour < wanted.before and hour not in going]:
        return f"the lines of {left[0]:%Y-%m-%d-%H:%M} are not gone"
    if hours := unsettled_hours(platform, wanted):
        return f"{hours[0]:%Y-%m-%d-%H:%M} is not finished"
    return what_is_not_built(platform)


def unsettled_hours(platform: Platform, wanted: Closed) -> list[datetime]:
    """The hours to be closed of which some table has not consumed what the one before it holds."""
    lake = platform.lake
    kept = kept_days(lake)
    since = kept.before if kept else _midnight(date.min, DAY)
    is_near = pl.col(INGEST_HOUR[0]).is_between(since.date(), wanted.before.date())
    rows = lake.scan("hour_ledger").filter(is_near)
    known = hours_in(rows.select(INGEST_HOUR).unique().collect())
    hours = [hour for hour in known if since <= hour < wanted.before]
    late = set(hours) - set(read_consumed(lake, "raw_telemetry", hours))
    steps: tuple[HourStep, ...] = (
        EventsStep.of(platform),
        SessionsStep.of(platform),
        HistoryStep.of(platform),
    )
    for step in steps:
        inputs, consumed = step.inputs(hours), read_consumed(lake, step.table, hours)
        late |= {
            hour
            for hour in hours
            if hour not in consumed or consumed[hour].input != inputs.get(hour)
        }
    return sorted(late)


def what_is_not_built(platform: Platform) -> str:
    """Why the KPI database cannot tell what is to be kept; empty if it can."""
    path = platform.settings.warehouse_file
    if not path.exists():
        return _NOT_BUILT
    with file_lock(warehouse_lock(path)), connect(path) as con:
        return what_is_not_built_in(platform, con)


def what_is_not_built_in(platform: Platform, con: duckdb.DuckDBPyConnection) -> str:
    """The same, of the database that is open."""
    path, sources = platform.settings.warehouse_file, platform.sources
    if pending(con) or built_by(con) is None:
        return _NOT_BUILT
    is_begun = path.with_name(f"{path.name}.rebuilt").exists()
    if is_begun or not count(con, _KNOWS_KEPT_DAYS):
        return "changed definitions are still to be built: run the job definitions_rebuild"
    differing = differing_partitions(
        con,
        lake_tables(platform),
        sources.frame(),
        platform.settings.player_id_attributes,
        sources.platform_names,
    )
    return _NOT_BUILT if differing else ""


# A project of an earlier release, by which the marts may still be built, would compute kept days.
_KNOWS_KEPT_DAYS = (
    "select count(*) from duckdb_views() where schema_name = 'staging'"
    " and view_name = 'affected_event_hours' and contains(sql, 'kept_days')"
)
_NOT_BUILT = "the marts are not built of what the lake has: run any hour"


def _measure(lake: Lake, through: date, found: Events) -> None:
    snapshot = lake.open(EVENTS)
    if snapshot is None:
        return
    files = files_of(snapshot).filter(pl.col(INGEST_HOUR[0]) <= through)
    hours = hours_in(files)
    ledger = hours_of(lake.read_hours("hour_ledger", hours), hours)
    for hour, part in hours_of(files, hours).items():
        last = ledger[hour].filter(IS_TELEMETRY)["max_event_at"].max()
        if isinstance(last, datetime) and last.date() <= through:
            found.hour_rows[hour] = int(part["num_records"].sum())
            found.bytes += int(part["size_bytes"].sum())


def _midnight(day: date, more: timedelta) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + more
