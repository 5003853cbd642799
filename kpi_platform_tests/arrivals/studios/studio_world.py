"""A small world of studios' rows on a real lake: captured, then made events, then sessions.

Belongs here: driving the real steps and the slow, obvious reference. Does not: choosing the moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import HourReport
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.sources_file.sources import Sources, parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform_tests.arrivals.studios.memory_warehouse import MemoryWarehouse
from kpi_platform_tests.colours import worked

START = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = """
studios:
  - key: aurora
    warehouse: {kind: duckdb, path: aurora.duckdb}
    games:
      - key: comet
        sources:
          - key: comet-db
            schema: game
            tables:
              - table: purchases
                key: id
                watermark: changed_at
                event: Purchase
                event_at: bought_at
                player_id: player
                session_id: session
                attributes: {Amount: {column: cents, scale: 0.01}, Currency: currency}
                deleted: gone
              - table: versions
                key: id
                watermark: {column: at_ms, unit: epoch_ms}
                event: SoftwareVersion
                event_at: {column: at_ms, unit: epoch_ms}
                player_id: player
                session_id: session
                attributes: {Version: version}
              - table: items
                key: sku
"""
TABLES = ("purchases", "versions")


def hour(number: int) -> datetime:
    """The hour with this number, counted from the first partition."""
    return START + timedelta(hours=number)


def purchase(
    key: int,
    changed: datetime,
    cents: int | None = 100,
    *,
    player: str = "p1",
    session: str = "s1",
    bought: datetime | None = None,
    gone: bool = False,
) -> dict[str, object]:
    """A row of the table `purchases`."""
    return {
        "id": key,
        "changed_at": changed,
        "bought_at": bought or START + timedelta(minutes=key),
        "player": player,
        "session": session,
        "cents": cents,
        "currency": "USD",
        "gone": gone,
    }


def purchases(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """The table."""
    utc = pl.Datetime("us", "UTC")
    schema = {
        **{"id": pl.Int64, "changed_at": utc, "bought_at": utc, "player": pl.String},
        **{"session": pl.String, "cents": pl.Int64, "currency": pl.String, "gone": pl.Boolean},
    }
    return pl.DataFrame([dict(row) for row in rows], schema=schema, orient="row")


def versions(rows: Sequence[tuple[int, datetime, str, str, str]]) -> pl.DataFrame:
    """The table `versions`: id, instant, player, session, version."""
    told = [(key, round(at.timestamp() * 1000), *rest) for key, at, *rest in rows]
    columns = {"id": pl.Int64, "at_ms": pl.Int64}
    texts = dict.fromkeys(("player", "session", "version"), pl.String)
    return pl.DataFrame(told, schema=columns | texts, orient="row")


@dataclass
class StudioWorld:
    """A lake and one studio's warehouse below a folder."""

    folder: Path
    warehouse: MemoryWarehouse = field(default_factory=MemoryWarehouse)
    sources: Sources = field(default_factory=lambda: parse_sources(SOURCES, "sources.yaml"))

    def __post_init__(self) -> None:
        (self.folder / "landing").mkdir(parents=True, exist_ok=True)
        self.warehouse.tables.setdefault("purchases", purchases([]))
        self.warehouse.tables.setdefault("versions", versions([]))
        self.warehouse.tables.setdefault("items", pl.DataFrame({"sku": ["a"], "price": [1.5]}))

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    def run(
        self, hours: Sequence[datetime], lake: Lake | None = None, chunk: int = 1_000_000
    ) -> dict[str, list[HourReport]]:
        """Run every step for these hours; per table what became of each."""
        used = lake or self.lake
        limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
        rules = PlayerIdRules(("PlayerId",))
        capture = CaptureStep(used, self.sources, self.warehouse.open, START)
        for reader in capture._readers.values():
            reader.pause = lambda _: None
        steps = (
            RawStep(used, Landing(str(self.folder / "landing")), self.sources, limits),
            capture,
            EventsStep(used, self.sources),
            SessionsStep(used, rules, timedelta(hours=24)),
            HistoryStep(used, rules),
        )
        return {step.table: worked(used, step, hours, chunk) for step in steps}

    def versions_of_tables(self) -> dict[str, int | None]:
        """Every lake table's version: equal if nothing was written."""
        names = [path.name for path in (self.folder / "lake").iterdir() if path.name != "_locks"]
        return {name: self.lake.version(name) for name in sorted(names)}
