"""From events to sightings: which player was seen with which version, on which device, when.

Belongs here: the sightings of an ingest hour and their attribution to players. Does not: what
the sightings add up to, which is the timeline's.
"""

from collections.abc import Collection, Sequence

import polars as pl

from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.players import player_id
from kpi_platform.schemas.tables import SESSION
from kpi_platform.schemas.version_keys import sighted_version

_BLANK_SESSION = pl.col("session_id").str.strip_chars() == ""
OWNERSHIP = ["started_at", "ended_at", "player_id", "device"]
"""What of a session decides about its sightings."""
ATTRIBUTED = [
    "player_id",
    "service_name",
    "device",
    "version",
    "event_at",
    "transaction_id",
    "session_id",
    "event_id",
]


def sightings(
    events: pl.DataFrame,
    player_id_attributes: Sequence[str],
    local_sources: Collection[str] = (),
) -> pl.DataFrame:
    """Return the sightings among cleaned events: one row per event and ingest hour.

    A sighting is a `SoftwareVersion` event that tells a version (see `sighted_version`). `device`
    is the event's own and may be null. `player_id` is kept only where the session id is blank,
    since any other event belongs to its session's player.
    """
    return (
        events.lazy()
        .filter(pl.col("event_name") == "SoftwareVersion")
        .with_columns(version=sighted_version())
        .filter(pl.col("version").is_not_null())
        .select(
            "event_id",
            *SESSION,
            "event_at",
            "transaction_id",
            "version",
            attribute("Device").alias("device"),
            pl.when(_BLANK_SESSION)
            .then(player_id(player_id_attributes, local_sources))
            .alias("player_id"),
            "p_ingest_date_utc",
            "p_ingest_hour_utc",
        )
        .collect()
    )


def attribute_sightings(seen: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the attributed sightings: one row per distinct event that has a player.

    `seen` may hold copies of an event from several ingest hours. A sighting belongs to the
    player of the session (columns of the table `sessions`) that contains its `event_at`; with a
    blank session id, to the player it names itself. Sightings of nobody are left out: they are
    in `seen` again when the session's sign-in arrives. Device: its own, else its session's,
    else `unknown`. The sessions must be those of the same events: a sighting that lies in no
    session given is left out like one without a player.
    """
    distinct = seen.lazy().unique(subset="event_id", keep="any")
    return (
        pl.concat([_in_sessions(distinct, sessions), _alone(distinct)])
        .filter(pl.col("player_id").is_not_null())
        .with_columns(pl.col("device").fill_null("unknown"))
        .collect()
    )


def _alone(distinct: pl.LazyFrame) -> pl.LazyFrame:
    return distinct.filter(_BLANK_SESSION).select(ATTRIBUTED)


def _in_sessions(distinct: pl.LazyFrame, sessions: pl.DataFrame) -> pl.LazyFrame:
    # Sessions of one id never overlap, so the last one started is the only one that can
    # contain the event.
    owners = sessions.lazy().select(
        *SESSION,
        "started_at",
        "ended_at",
        pl.col("player_id").alias("session_player"),
        pl.col("device").alias("session_device"),
    )
    return (
        distinct.filter(~_BLANK_SESSION)
        .sort("event_at")
        .join_asof(
            owners.sort("started_at"),
            left_on="event_at",
            right_on="started_at",
            by=SESSION,
            strategy="backward",
            check_sortedness=False,
        )
        .filter(pl.col("event_at") <= pl.col("ended_at"))
        .with_columns(
            player_id=pl.col("session_player"),
            device=pl.coalesce("device", "session_device"),
        )
        .select(ATTRIBUTED)
    )
