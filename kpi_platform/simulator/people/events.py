"""What is sent in a session: kinds, times and transaction ids of its events.

Belongs here: the true sequence of events. Does not: their bodies, their way to us.
"""

import polars as pl

from kpi_platform.simulator.draws import Draws

# Codes of the kinds of events; the texts of the bodies are in bodies.py.
KINDS = (
    "SessionStart",
    "SoftwareVersion",
    "DeviceInfo",
    "FeatureUsed",
    "Purchase",
    "Install",
    "Notification",
    "ExperimentAssigned",
    "Crash",
    "Issue",
    "SessionEnd",
    "AccountLinked",
    "CheckpointReached",
    "AdViewed",
)
CODE = {name: code for code, name in enumerate(KINDS)}
NOT_ACTIVE = (CODE["Install"], CODE["Notification"])
# What happens in the middle of a session, of 200 events.
_MIDDLE = (
    *("FeatureUsed",) * 136,
    *("CheckpointReached",) * 30,
    *("AdViewed",) * 18,
    *("Notification",) * 11,
    *("Issue",) * 2,
    *("Purchase",) * 1,
    *("SoftwareVersion",) * 2,
)
_OPENING = 5
_OPENING_GAP_MS = 350
EVENT_INDEX_BITS = 512


def make_events(draws: Draws, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return one row per event: the session's columns, uid, position, kind, times, transaction_id.

    `event_ms` is what the client's clock says, `true_ms` when it happened.
    """
    events = (
        sessions.with_columns(position=pl.int_ranges(0, "event_count"))
        .explode("position", empty_as_null=False, keep_nulls=False)
        .with_columns(uid=pl.col("stretch") * EVENT_INDEX_BITS + pl.col("position").cast(pl.UInt64))
    )
    events = events.with_columns(_kind(draws), _offset_ms(draws).alias("into_ms"))
    return events.with_columns(
        true_ms=pl.col("start_ms") + pl.col("into_ms"),
        event_ms=pl.col("start_ms") + pl.col("into_ms") + pl.col("skew_ms"),
        transaction_id=_transaction_id(draws),
    ).drop("into_ms")


def _kind(draws: Draws) -> pl.Expr:
    def code(name: str) -> pl.Expr:
        return pl.lit(CODE[name], dtype=pl.UInt8)

    position, last = pl.col("position"), pl.col("event_count") - 1
    middle = draws.pick("kind", pl.Series([CODE[name] for name in _MIDDLE], dtype=pl.UInt8))
    is_tempted = (middle == CODE["Purchase"]) & ~pl.col("is_spender")
    middle = pl.when(is_tempted).then(code("FeatureUsed")).otherwise(middle)
    links = pl.col("is_guest") & pl.col("player").is_not_null()
    return (
        pl.when(position == 0)
        .then(code("SessionStart"))
        .when((position == 1) | ((position == 2) & pl.col("tells_two_versions")))
        .then(code("SoftwareVersion"))
        .when(position == 2)
        .then(code("DeviceInfo"))
        .when((position == 3) & pl.col("is_joining"))
        .then(code("Install"))
        .when((position == 3) & links)
        .then(code("AccountLinked"))
        .when((position == 3) & pl.col("takes_part"))
        .then(code("ExperimentAssigned"))
        .when((position == 4) & pl.col("is_switched"))
        .then(code("SessionStart"))
        .when((position == last) & pl.col("ends"))
        .then(code("SessionEnd"))
        .when((position == last) & pl.col("crashes"))
        .then(code("Crash"))
        .otherwise(middle)
        .alias("kind")
    )


def _offset_ms(draws: Draws) -> pl.Expr:
    """Milliseconds since the session's start, rising with the position.

    The two versions of a session that tells two share their instant, so that only their
    transaction ids tell which one counts.
    """
    position = pl.col("position")
    opening = pl.when((position == 2) & pl.col("tells_two_versions")).then(1).otherwise(position)
    opening = opening.cast(pl.Int64) * _OPENING_GAP_MS
    rest_ms = pl.col("length_ms") - _OPENING * _OPENING_GAP_MS
    share = (position - _OPENING + draws.unit("moment")) / (pl.col("event_count") - _OPENING)
    later = _OPENING * _OPENING_GAP_MS + (rest_ms * share).cast(pl.Int64)
    return (
        pl.when(position < _OPENING)
        .then(opening)
        .when((position == pl.col("event_count") - 1) & (pl.col("ends") | pl.col("crashes")))
        .then(pl.col("length_ms"))
        .otherwise(later)
    )


def _transaction_id(draws: Draws) -> pl.Expr:
    """Count up in a session; where no session id tells events apart, be unique by itself."""
    base = pl.when(pl.col("id_key") != pl.col("stretch")).then(1000).otherwise(0)
    alone = (draws.bits("transaction", "stretch") // 4).cast(pl.Int64)
    base = pl.when("is_blank").then(alone).otherwise(base.cast(pl.Int64))
    return base + pl.col("position").cast(pl.Int64)
