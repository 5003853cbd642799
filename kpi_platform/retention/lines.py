"""Which ingest hours' telemetry lines go, with their rows and bytes, and which stay and why.

Belongs here: asking the books, the tables' logs and the landing zone. Does not: taking rows away
(`dropping.py`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from kpi_platform.arrivals.watching.watched_files import Telemetry, read_state
from kpi_platform.engine.books.file_ledger import FileRecord, read_files
from kpi_platform.engine.books.hour_ledger import IS_TELEMETRY
from kpi_platform.engine.platform import Platform
from kpi_platform.retention.sealing import Waiting
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake, hours_in, hours_of
from kpi_platform.storage.landing.landing import LandingFile

LINES = "raw_telemetry"
BAD = "quarantined_events"
_DAY = timedelta(days=1)


@dataclass
class Lines:
    """The hours whose lines go; per table the `rows` and `bytes` of them; the hours that stay.

    `hour_rows`: rows of `raw_telemetry` per hour. Bytes are those of the tables' files.
    """

    hours: list[datetime] = field(default_factory=list)
    hour_rows: dict[datetime, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)


def plan_lines(platform: Platform, sealed: Collection[date]) -> Lines:
    """The hours whose lines may go once these days are sealed. Nothing changes."""
    lake = platform.lake
    if not sealed:
        return Lines()
    files = line_files(lake, max(sealed))
    hours = hours_in(files)
    ledger = hours_of(lake.read_hours("hour_ledger", hours), hours)
    records = read_files(lake, hours, "telemetry")
    found = Lines()
    ready = []
    for hour in hours:
        if not _days(hour, ledger[hour]) <= set(sealed):
            found.waiting.append(Waiting(hour, "days not sealed"))
        elif _is_finished(ledger[hour], records[hour]):
            ready.append(hour)
        else:
            found.waiting.append(Waiting(hour, "not finished"))
    changed = unread_hours(platform, ready)
    found.waiting += [Waiting(hour, "files changed") for hour in ready if hour in changed]
    found.hours = [hour for hour in ready if hour not in changed]
    _measure(lake, files, found)
    return found


def unread_hours(platform: Platform, hours: Sequence[datetime]) -> set[datetime]:
    """Those of these hours in which telemetry files lie that were not read as they are."""
    what = Telemetry(platform)
    files: dict[datetime, list[LandingFile]] = {}
    for folder in what.folders:
        for hour, listed in what.landing.list_hours(folder, hours).items():
            files.setdefault(hour, []).extend(listed)
    listed_ones = {hour: listed for hour, listed in files.items() if listed}
    marks = {hour: what.fingerprint(listed) for hour, listed in listed_ones.items()}
    read = read_state(platform, what, listed_ones, marks, hours)
    return {hour for hour, mark in marks.items() if mark and mark != read.get(hour)}


def telemetry_sources(lake: Lake, hours: Sequence[datetime]) -> list[str]:
    """The sources of telemetry of these hours, as the ledger names them."""
    ledger = lake.read_hours("hour_ledger", hours)
    telemetry = ledger.filter(IS_TELEMETRY)
    return telemetry["source"].unique().sort().to_list()


def line_files(lake: Lake, last: date) -> pl.DataFrame:
    """The files of lines up to an ingest day, as the logs tell: hour, table, rows and bytes."""
    columns = [*INGEST_HOUR, "table", "num_records", "size_bytes"]
    parts = [pl.DataFrame(schema=_FILES)]
    for table in (LINES, BAD):
        snapshot = lake.open(table)
        if snapshot is None:
            continue
        files = files_of(snapshot).with_columns(table=pl.lit(table))
        if table == BAD:
            # Lines that could not be decoded lie with those of feeds: with the hour they go.
            files = files.filter(pl.col("p_stage") == "read")
        parts.append(files.select(columns).cast(_FILES))
    return pl.concat(parts).filter(pl.col(INGEST_HOUR[0]) <= last)


_FILES = pl.Schema(
    {
        INGEST_HOUR[0]: pl.Date(),
        INGEST_HOUR[1]: pl.Int32(),
        "table": pl.String(),
        "num_records": pl.Int64(),
        "size_bytes": pl.Int64(),
    }
)


def _days(hour: datetime, ledger: pl.DataFrame) -> set[date]:
    """The hour's own day, and every day from its first event's to its last one's."""
    telemetry = ledger.filter(IS_TELEMETRY)
    first, last = telemetry["min_event_at"].min(), telemetry["max_event_at"].max()
    days = {hour.date()}
    if isinstance(first, datetime) and isinstance(last, datetime):
        count = (last.date() - first.date()).days + 1
        days.update(first.date() + n * _DAY for n in range(count))
    return days


def _is_finished(ledger: pl.DataFrame, files: Sequence[FileRecord]) -> bool:
    """Whether every line of the hour has become what it is, as both ledgers have it."""
    is_done = (pl.col("status") == "processed") & pl.col("rows").is_not_null()
    counted = bool(files) and all(file.rows is not None for file in files if file.is_current)
    return counted and ledger.height > 0 and bool(ledger.select(is_done.all()).item())


def _measure(lake: Lake, files: pl.DataFrame, found: Lines) -> None:
    for table in (LINES, BAD):
        parts = hours_of(files.filter(pl.col("table") == table), found.hours)
        found.rows[table] = sum(int(part["num_records"].sum()) for part in parts.values())
        found.bytes[table] = sum(int(part["size_bytes"].sum()) for part in parts.values())
        if table == LINES:
            found.hour_rows = {h: int(part["num_records"].sum()) for h, part in parts.items()}
    if found.hours:
        sources = telemetry_sources(lake, found.hours)
        decoded = lake.scan_hours(BAD, found.hours).filter(
            pl.col("p_stage") == "decode", pl.col("source").is_in(sources)
        )
        found.rows[BAD] += int(decoded.select(pl.len()).collect().item())
