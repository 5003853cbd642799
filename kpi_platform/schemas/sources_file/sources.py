"""Studios, games and their sources as data: the shape of the `KPI_SOURCES` file.

Belongs here: the file's grammar and the questions asked of it. Does not: reading the file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from kpi_platform.schemas.sources_file.platform_names import TOTAL, PlatformNames, plain
from kpi_platform.schemas.sources_file.source_connections import Connection
from kpi_platform.schemas.sources_file.source_tables import ConsoleFeed, Feed, Folder, TableMapping
from kpi_platform.schemas.sources_file.source_values import Strict
from kpi_platform.schemas.sources_file.yaml_lines import YamlError, parse
from kpi_platform.schemas.texts.file_names import Format
from kpi_platform.schemas.texts.hidden_secrets import SafeError

UNASSIGNED = "unassigned"
NO_SERVICES = pl.DataFrame(schema={"service_name": pl.String, "version_order": pl.String})
"""No rows of `Sources.services`: every service orders its versions by their numbers."""
Kind = Literal["telemetry", "warehouse", "console", "stream"]


class SourcesError(SafeError, ValueError):
    """The sources file is wrong; the message is one line with line or field."""


class Source(Strict):
    """One source of a game's data, active from `since` until `until` (UTC, half-open).

    It is exactly one of: `telemetry`, a landing folder; `schema`, a schema of the studio's
    warehouse with its `tables`; `feed`, a console or stream platform's data. `delivery: running` is
    what writes while an hour lasts: the hour has arrived with a later one, or with a file
    `_SUCCESS` in its folder. `reread_hours`: how
    many captured hours before an hour are read again with it, for rows that are stamped long before
    they can be seen. `format`: how the lines of telemetry files are written whose names do not say
    so; `auto` goes by each file's first character. `overwrites: hours`: whatever writes its files
    gives them new names each time, so that an hour holds its newest listing that had files, not
    every name ever seen.
    """

    key: str = Field(min_length=1)
    telemetry: Folder | None = None
    schema_: str | None = Field(None, alias="schema", min_length=1)
    tables: tuple[TableMapping, ...] = ()
    feed: Feed | None = None
    format: Format = "auto"
    player_ids: Literal["global", "local"] = "global"
    overwrites: Literal["hours"] | None = None
    since: datetime | None = None
    until: datetime | None = None
    delivery: Literal["whole", "running"] = "whole"
    reread_hours: int = Field(3, ge=3, le=24 * 31)

    @field_validator("since", "until")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if sum(origin is not None for origin in (self.telemetry, self.schema_, self.feed)) != 1:
            raise ValueError("needs exactly one of telemetry, schema and feed")
        if self.format != "auto" and self.telemetry is None:
            raise ValueError("format is of telemetry")
        if self.tables and self.schema_ is None:
            raise ValueError("tables need a schema")
        names = [mapping.table for mapping in self.tables]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"table mapped twice: {', '.join(twice)}")
        return self

    @property
    def kind(self) -> Kind:
        """What delivers the data."""
        if self.feed is not None:
            return self.feed.kind
        return "telemetry" if self.telemetry is not None else "warehouse"

    @property
    def reads_warehouse(self) -> bool:
        """Whether the studio's warehouse must be reached for it."""
        return self.schema_ is not None or (self.feed is not None and self.feed.table is not None)

    def active_in(self, hour: datetime) -> bool:
        """Whether the source is active in the ingest hour that starts at `hour`."""
        return (self.since is None or self.since <= hour) and (
            self.until is None or hour < self.until
        )


class Service(Strict):
    """A client or server of a game (`service_name` of its events) and how its versions follow each
    other: `natural`, by their numbers, or `release_day`, where they are hashes or code names."""

    name: str = Field(min_length=1)
    order: Literal["natural", "release_day"] = "natural"


class Game(Strict):
    """A game of a studio, the sources that tell of it, and what is to be said of its services."""

    key: str = Field(min_length=1)
    name: str = ""
    sources: tuple[Source, ...] = ()
    services: tuple[Service, ...] = ()


class Studio(Strict):
    """A studio, its warehouse if it has one, and its games."""

    key: str = Field(min_length=1)
    name: str = ""
    warehouse: Connection | None = None
    games: tuple[Game, ...] = ()

    @model_validator(mode="after")
    def _has_what_is_read(self) -> "Studio":
        needing = [s.key for game in self.games for s in game.sources if s.reads_warehouse]
        if needing and self.warehouse is None:
            raise ValueError(f"source {needing[0]} needs the studio's warehouse")
        return self


class Sources(Strict):
    """The whole file: every studio, game and source; keys and folders are unique.

    `platforms`: names of platforms beside those that are known anyway, each with what clients also
    call it.

    `is_simulated`: the files are a simulator's; pages say so instead of calling the data old.
    """

    is_simulated: bool = False
    studios: tuple[Studio, ...] = ()
    platforms: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("platforms")
    @classmethod
    def _each_name_once(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        names = [plain(name) for known, aliases in value.items() for name in (known, *aliases)]
        if not all(names):
            raise ValueError("a platform needs a name")
        if TOTAL in names:
            raise ValueError(f"no platform can be called {TOTAL}: that is the total")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"platform named twice: {', '.join(twice)}")
        return value

    @model_validator(mode="after")
    def _unique(self) -> "Sources":
        sources = [source for _, _, source in self.walk()]
        for what, values in (
            ("source key", [source.key for source in sources]),
            ("source telemetry", [s.telemetry for s in sources if s.telemetry is not None]),
            ("studio key", [studio.key for studio in self.studios]),
            ("service name", [service.name for service in self._services()]),
        ):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} used twice: {', '.join(twice)}")
        return self

    def walk(self) -> Iterator[tuple[str, str, Source]]:
        """Every source as (studio key, game key, source)."""
        for studio in self.studios:
            for game in studio.games:
                for source in game.sources:
                    yield studio.key, game.key, source

    def _services(self) -> Iterator[Service]:
        for studio in self.studios:
            for game in studio.games:
                yield from game.services

    def services(self) -> pl.DataFrame:
        """One row per configured service: `service_name`, and its `version_order`."""
        rows = [(service.name, service.order) for service in self._services()]
        return pl.DataFrame(rows, NO_SERVICES.schema, orient="row")

    @cached_property
    def platform_names(self) -> PlatformNames:
        """The platforms that KPI tables have rows of: the file's, those that mappings state, and
        the default ones."""
        return PlatformNames(self.platforms, self._stated_platforms())

    def _stated_platforms(self) -> Iterator[str]:
        for _, _, source in self.walk():
            feed = source.feed
            for mapping in (*source.tables, *((feed,) if isinstance(feed, ConsoleFeed) else ())):
                if mapping.platform is not None:
                    yield from mapping.platform.names.values()
                    yield from filter(None, (mapping.platform.literal,))

    def kinds(self) -> pl.DataFrame:
        """One row per source: `source`, its `kind`, and `is_running`, how it delivers."""
        rows = [(s.key, s.kind, s.delivery == "running") for _, _, s in self.walk()]
        schema = {"source": pl.String, "kind": pl.String, "is_running": pl.Boolean}
        return pl.DataFrame(rows, schema, orient="row")

    def source_of_folder(self, folder: str) -> str:
        """The source key of a landing folder; a folder that no source names is its own key.

        Should that be the key of another source, it is called `unassigned:<folder>`.
        """
        source = self._source_by_folder.get(folder)
        if source is not None:
            return source
        return f"{UNASSIGNED}:{folder}" if folder in self._keys else folder

    # Asked for each file of an hour, and for each folder.
    @cached_property
    def _formats(self) -> dict[str, Format]:
        return {s.telemetry: s.format for _, _, s in self.walk() if s.telemetry is not None}

    @cached_property
    def _running(self) -> set[str]:
        return {source.key for _, _, source in self.walk() if source.delivery == "running"}

    @cached_property
    def _source_by_folder(self) -> dict[str, str]:
        return {folder: key for key, folder in self.folders().items()}

    @cached_property
    def _keys(self) -> set[str]:
        return {source.key for _, _, source in self.walk()}

    def formats(self) -> dict[str, Format]:
        """How lines are written in files whose names do not say so, by landing folder; `auto` in
        folders that are not here."""
        return self._formats

    def folders(self) -> dict[str, str]:
        """Landing folder of every configured telemetry source, by source key."""
        return {s.key: s.telemetry for _, _, s in self.walk() if s.telemetry is not None}

    def overwriting(self) -> set[str]:
        """Keys of the sources whose files replace those of the hour's listing before."""
        return {source.key for _, _, source in self.walk() if source.overwrites}

    def running(self) -> set[str]:
        """Keys of the sources that deliver while an hour lasts."""
        return self._running

    def active_in(self, hour: datetime, *kinds: Kind) -> list[str]:
        """Keys of the sources (of these kinds, or all) active in the hour that starts at `hour`."""
        return [
            source.key
            for _, _, source in self.walk()
            if source.active_in(hour) and (not kinds or source.kind in kinds)
        ]

    def warehouses(self) -> Iterator[tuple[Studio, list[tuple[str, Source]]]]:
        """Every studio with a warehouse, and its sources there as (game key, source)."""
        for studio in self.studios:
            if studio.warehouse is not None:
                yield (
                    studio,
                    [(g.key, s) for g in studio.games for s in g.sources if s.reads_warehouse],
                )

    def frame(self, found: list[str] | None = None) -> pl.DataFrame:
        """One row per source: `source`, `studio`, `game`, `player_ids`, `since`, `until` (UTC).

        Sources in `found` that the file does not name are `unassigned`, game = source key.
        """
        rows = [
            (source.key, studio, game, source.player_ids, source.since, source.until)
            for studio, game, source in self.walk()
        ]
        named = {row[0] for row in rows}
        rows += [
            (key, UNASSIGNED, key, "global", None, None) for key in found or [] if key not in named
        ]
        utc = pl.Datetime("us", "UTC")
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            "source": pl.String,
            "studio": pl.String,
            "game": pl.String,
            "player_ids": pl.String,
            "since": utc,
            "until": utc,
        }
        return pl.DataFrame(rows, schema=schema, orient="row")


def parse_sources(text: str, name: str) -> Sources:
    """Parse the YAML text of a sources file called `name`.

    Raises SourcesError naming the line, and the field where the content is wrong.
    """
    try:
        return parse(Sources, text, name, _said)
    except YamlError as error:
        raise SourcesError(f"KPI_SOURCES: {error}") from None


def _said(kind: str, message: str) -> str:
    """The mistake without the value: it may be a secret in the wrong place."""
    if kind == "union_tag_invalid":
        return f"must be one of {message.rpartition(': ')[2]}"
    return message.removeprefix("Value error, ")
