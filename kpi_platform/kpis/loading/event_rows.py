"""What the KPI database takes of events: the rows of a run, and what is kept when it is over.

Belongs here: pure functions of the lake's rows. Does not: which are read (load.py, window.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl
import polars_hash as plh

from kpi_platform.kpis.loading.told_values import own_platforms, own_players, told_values
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.storage.kpi_database.embedded import LoadedTable, naive_utc

# Of a lake's row, and read off it once for every warehouse.
COLUMNS = (
    *("event_id", "source", "studio", "game", "service_name", "session_id"),
    *("transaction_id", "event_name", "event_at", "attributes", "own_player_id"),
    *("version", "version_sort_key", "purchase_id", "refund_of", "own_platform"),
)
GROUP = ("hour", "source", "service_name", "session_id")
EVENT_HOURS = LoadedTable(
    "event_hours",
    (*GROUP, "own_player_id", "events", "digest", "last_at", "is_sighted"),
    (*GROUP, "own_player_id"),
    ("hour",),
)
PURCHASES = LoadedTable(
    "purchases",
    (
        *("event_id", "source", "service_name", "session_id", "own_player_id"),
        *("event_at", "purchase_id", "refund_of"),
    ),
    ("event_id",),
    ("event_at",),
)


@dataclass(frozen=True)
class EventRows:
    """How events become rows, by what the settings say of players and platforms.

    `local_sources`: those whose player ids mean somebody within their studio alone.
    """

    player_id_attributes: tuple[str, ...]
    local_sources: tuple[str, ...]
    platforms: PlatformNames

    @classmethod
    def of(
        cls,
        sources: pl.DataFrame,
        player_id_attributes: Sequence[str],
        platforms: PlatformNames | None = None,
    ) -> Self:
        """By `sources` with `source` and `player_ids` (global or local)."""
        local = sources.filter(pl.col("player_ids") == "local")["source"].sort()
        shown = platforms or PlatformNames.as_sent()
        return cls(tuple(player_id_attributes), tuple(local), shown)

    @property
    def platform_mark(self) -> str:
        """What stands for the names of platforms in a signature; blank for names as sent."""
        return f"{fingerprint(self.platforms.mark)} " if self.platforms.mark else ""

    @property
    def mark(self) -> str:
        """What stands for the settings in the signature of loaded events."""
        return f"{self.player_id_attributes} {list(self.local_sources)} {self.platform_mark}"

    def rows(self, events: pl.DataFrame) -> pl.DataFrame:
        """The lake's events with the columns `COLUMNS`; times are UTC without a zone."""
        named = own_players(events, self.player_id_attributes, self.local_sources)
        named = own_platforms(told_values(named), self.platforms)
        return naive_utc(named.select(COLUMNS))


def in_groups() -> list[pl.Expr]:
    """The columns `GROUP` of an event: its hour, and its session, blank where it has none."""
    session = pl.col("session_id")
    hour = pl.col("event_at").dt.replace_time_zone(None).dt.truncate("1h")
    is_blank = session.str.strip_chars() == ""
    blanked = pl.when(is_blank).then(pl.lit("")).otherwise(session).alias("session_id")
    return [hour.alias("hour"), pl.col("source"), pl.col("service_name"), blanked]


def event_hours(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per hour of event time and session, or player outside sessions.

    `events`: how many; `digest`: equal where all their columns are; `last_at`: the last one's time;
    `is_sighted`: whether one says a version.
    """
    # A text of each row: what is null is told from what is blank.
    texts = [pl.col(name).cast(pl.String).fill_null("\x00") for name in COLUMNS]
    digests = rows.select(joined=pl.concat_str(texts, separator="\x1f")).select(
        digest=plh.col("joined").nchash.xxh3_64()
    )
    is_sighted = (pl.col("event_name") == "SoftwareVersion") & pl.col("version").is_not_null()
    return (
        rows.with_columns(digests["digest"])
        .with_columns(*in_groups(), pl.col("own_player_id").fill_null(""), is_sighted=is_sighted)
        .group_by(*GROUP, "own_player_id")
        .agg(
            pl.len().cast(pl.Int64).alias("events"),
            pl.col("digest").sum().reinterpret(signed=True),
            pl.col("event_at").max().alias("last_at"),
            pl.col("is_sighted").any(),
        )
    )


def purchases(rows: pl.DataFrame) -> pl.DataFrame:
    """The purchases and refunds that name a purchase."""
    is_named = pl.col("purchase_id").is_not_null() | pl.col("refund_of").is_not_null()
    named = rows.filter(is_named).with_columns(*in_groups(), pl.col("own_player_id").fill_null(""))
    return named.select(PURCHASES.columns)
