"""A small world whose days are old enough for events to go, with the marts that are made of it.

Belongs here: files, steps, retention, builds, and every figure as text. Does not: choosing moves.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import lake_tables
from kpi_platform.kpis.loading.event_rows import EventRows
from kpi_platform.kpis.loading.kept_rows import give_back, note_kept_days, take_away
from kpi_platform.kpis.loading.load import load
from kpi_platform.retention.run import Retention, run_retention
from kpi_platform_tests.kpis.builds import WAREHOUSE
from kpi_platform_tests.kpis.fast_builds import FastBuild
from kpi_platform_tests.laws.lake_world import Fault, FaultyLake, Killed
from kpi_platform_tests.laws.sealed_world import (
    DAY,
    FOLDED,
    HOUR,
    START,
    WALL,
    SealedWorld,
    settings_of,
    sorted_rows,
)

KEEP_EVENTS = 36
# Every hour that may hold lines of the days that are sealed before the first two can be kept.
EVERY_HOUR = [START + n * HOUR for n in range(168)]


class KeptWorld(SealedWorld):
    """The platform as it really is, with a KPI database that others in this process share."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        changes = {
            "keep_events_days": KEEP_EVENTS,
            "session_silence_hours": 1,
            "warehouse_path": WAREHOUSE,
        }
        self.platform = Platform(settings_of(root).model_copy(update=changes))

    def copy_of(self, root: Path) -> "KeptWorld":
        """The same world in another folder."""
        shutil.copytree(self.root, root)
        other = KeptWorld(root)
        # Files that were copied look as if they had changed.
        other.run_files(EVERY_HOUR)
        return other

    def write(self, hour: datetime, name: str, lines: Sequence[str]) -> None:
        """A file: each line says when it happened, from the start of its hour in minutes, then its
        session, event and attributes."""
        path = self.path(hour, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = ""
        for line in lines:
            minutes, session, event, attributes = line.split("|")
            at = hour + int(minutes) * (HOUR / 60)
            body = f"{{'Name': '{event}', {attributes}}}"
            text += f"Telemetry\t{at:%Y-%m-%dT%H:%M:%S}.000+0000\tApp\t{session}\t1\t{body}\n"
        path.write_text(text)

    def work(self, hours: Sequence[datetime]) -> None:
        """Read, clean and fold the hours; nothing may fail."""
        self.run_files(hours)
        self.fold()

    def go_on(self, days: int) -> None:
        """An hour is run after which this many days are over for as long as events are kept."""
        self.work([START + (KEEP_EVENTS + days) * DAY - HOUR])

    def build(self, made: FastBuild, *, is_new: bool = False) -> None:
        """Load and build, as a run does."""
        sources, settings = self.platform.sources, self.platform.settings
        attributes, shown = settings.player_id_attributes, sources.platform_names
        made.tables = lake_tables(self.platform)
        made.event_rows = EventRows.of(sources.frame(), attributes, shown)
        load(
            made.connection,
            made.tables,
            sources.frame().join(sources.kinds(), on="source"),
            attributes,
            start_hour=START,
            services=sources.services(),
            platforms=shown,
        )
        note_kept_days(made.connection, self.lake)
        if is_new:
            give_back(made.connection, self.lake)
        made.run()
        take_away(made.connection)

    def keep(self, at_write: int = 0) -> Retention | None:
        """A run of retention; None if it was killed in place of a write."""
        lake = FaultyLake(self.lake.uri, Fault(at_write)) if at_write else self.lake
        platform = Platform(self.platform.settings)
        platform.__dict__["lake"] = lake
        with suppress(Killed):
            return run_retention(platform, WALL, lambda *_: None)
        return None

    def folded(self) -> dict[str, list[dict[str, object]]]:
        """What is folded of all hours, and their ledger."""
        return {name: sorted_rows(self.lake, name) for name in (*FOLDED, "hour_ledger")}


def marts(made: FastBuild) -> dict[str, list[str]]:
    """The rows of every table that dbt builds and that is not of one run."""
    tables = made.connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_schema in ('staging', 'marts') and table_type = 'BASE TABLE'"
        " and table_catalog = current_database() and not starts_with(table_name, 'affected_')"
    ).fetchall()
    read: Callable[[str], list[str]] = lambda name: sorted(  # noqa: E731
        map(str, made.connection.execute(f"from {name}").fetchall())
    )
    return {name: read(name) for (name,) in tables}
