"""The parts of the platform that the settings name, opened when they are first needed.

Belongs here: turning settings into landing, lake and sources. Does not: reading the environment.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.sources_file.sources import Sources, SourcesError, Studio, parse_sources
from kpi_platform.settings import Settings, secret
from kpi_platform.storage.kpi_database.copies import WarehouseCopy, open_copy
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts, Marts, PostgresMarts
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform.storage.studio_databases import (
    StudioWarehouse,
    TerminalWarehouseError,
    open_warehouse,
)


@dataclass(frozen=True)
class Platform:
    """Landing, lake and sources of one set of settings."""

    settings: Settings

    @cached_property
    def landing(self) -> Landing:
        """The landing zone. Raises LandingError if it cannot be used."""
        return Landing(self.settings.landing)

    def open_feeds(self) -> Landing:
        """The hourly files of console and stream feeds. Raises LandingError if there are none."""
        return Landing(self.settings.feeds, "KPI_FEEDS_URI")

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.settings.lake)

    @cached_property
    def sources(self) -> Sources:
        """Studios, games and sources; none without a file: all data is then `unassigned`.

        Raises SourcesError if the file is missing or wrong.
        """
        path = self.settings.sources_file
        return Sources() if path is None else read_sources(path)

    def open_warehouse(self, studio: Studio) -> StudioWarehouse:
        """A studio's warehouse; the caller closes it.

        Raises TerminalWarehouseError if it has none or a variable it names is missing or wrong,
        TransientWarehouseError if nobody answers.
        """
        if studio.warehouse is None:
            raise TerminalWarehouseError(f"studio {studio.key} has no warehouse")
        base = self.settings.sources_file or Path("sources.yaml")
        return open_warehouse(studio.warehouse, base.parent, secret)

    @cached_property
    def warehouse_copy(self) -> WarehouseCopy | None:
        """The warehouse that the models run in; None if that is the embedded one."""
        return open_copy(self.settings)

    def marts(self, con: duckdb.DuckDBPyConnection) -> Marts:
        """The finished marts; `con` is the embedded warehouse."""
        copy = self.warehouse_copy
        return EmbeddedMarts(con) if copy is None else PostgresMarts(copy.connect)

    @cached_property
    def player_id_rules(self) -> PlayerIdRules:
        """Which attributes name a player, and which sources have ids of their own."""
        local = sorted(s.key for _, _, s in self.sources.walk() if s.player_ids == "local")
        return PlayerIdRules(self.settings.player_id_attributes, tuple(local))


def read_sources(path: Path) -> Sources:
    """Read a sources file. Raises SourcesError with one line that says what is wrong and where."""
    # Anything else may be waited for without end, as a named pipe is.
    if not path.is_file():
        missing = "is no file" if path.exists() else "No such file or directory"
        raise SourcesError(f"KPI_SOURCES: {path}: {missing}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourcesError(f"KPI_SOURCES: {path}: {reason}") from None
    return parse_sources(text, str(path))
