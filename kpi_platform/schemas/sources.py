"""Studios, games and their sources as data: the shape of the `KPI_SOURCES` file.

Belongs here: the file's grammar and the questions asked of it. Does not: reading the file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

UNASSIGNED = "unassigned"


class SourcesError(ValueError):
    """The sources file is wrong; the message is one line with line or field."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """One telemetry source of a game, active from `since` until `until` (UTC, half-open)."""

    key: str = Field(min_length=1)
    telemetry: str = Field(min_length=1, pattern=r"^[^/\\]+$", description="landing folder")
    player_ids: Literal["global", "local"] = "global"
    since: datetime | None = None
    until: datetime | None = None

    @field_validator("since", "until")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def active_in(self, hour: datetime) -> bool:
        """Whether the source is active in the ingest hour that starts at `hour`."""
        return (self.since is None or self.since <= hour) and (
            self.until is None or hour < self.until
        )


class Game(_Strict):
    """A game of a studio and the sources that tell of it."""

    key: str = Field(min_length=1)
    name: str = ""
    sources: tuple[Source, ...] = ()


class Studio(_Strict):
    """A studio and its games."""

    key: str = Field(min_length=1)
    name: str = ""
    games: tuple[Game, ...] = ()


class Sources(_Strict):
    """The whole file: every studio, game and source; keys and folders are unique."""

    studios: tuple[Studio, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "Sources":
        for what in ("key", "telemetry"):
            values = [getattr(source, what) for _, _, source in self.walk()]
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"source {what} used twice: {', '.join(twice)}")
        return self

    def walk(self) -> Iterator[tuple[str, str, Source]]:
        """Every source as (studio key, game key, source)."""
        for studio in self.studios:
            for game in studio.games:
                for source in game.sources:
                    yield studio.key, game.key, source

    def source_of_folder(self, folder: str) -> str:
        """The source key of a landing folder; a folder that no source names is its own key.

        Should that be the key of another source, it is called `unassigned:<folder>`.
        """
        for _, _, source in self.walk():
            if source.telemetry == folder:
                return source.key
        return f"{UNASSIGNED}:{folder}" if folder in self.folders() else folder

    def folders(self) -> dict[str, str]:
        """Landing folder of every configured source, by source key."""
        return {source.key: source.telemetry for _, _, source in self.walk()}

    def active_in(self, hour: datetime) -> list[str]:
        """Keys of the sources active in the ingest hour that starts at `hour`."""
        return [source.key for _, _, source in self.walk() if source.active_in(hour)]

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

    Raises SourcesError naming the line (bad YAML) or the field (bad content).
    """
    try:
        data = yaml.safe_load(text)
        return Sources.model_validate(data if data is not None else {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        raise SourcesError(f"KPI_SOURCES: {name}{where}: {problem}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        raise SourcesError(f"KPI_SOURCES: {name}: {field}: {first['msg']}") from None
