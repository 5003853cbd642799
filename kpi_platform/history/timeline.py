"""From attributed sightings to intervals of versions, and from intervals to one row per player.

Belongs here: runs, boundaries and the fold. Does not: who a sighting belongs to, and asking
which version was in effect.
"""

import polars as pl

from kpi_platform.schemas.version_keys import version_sort_keys

TRACK = ["player_id", "service_name", "device"]
"""A player on one device in one service: versions follow each other within a track."""

INTERVAL = [*TRACK, "version", "valid_from", "valid_to", "last_seen_at", "sightings"]
BOUNDARY = INTERVAL[:6]
TIMELINE = INTERVAL[1:]

_SAME_TRACK = pl.col("_track") == pl.col("_track").shift(1, fill_value=0)
_TRACK_GOES_ON = pl.col("_track") == pl.col("_track").shift(-1, fill_value=0)
_STARTS_RUN = ~(
    _SAME_TRACK & (pl.col("version") == pl.col("version").shift(1)).fill_null(value=False)
)


def intervals(attributed: pl.DataFrame) -> pl.DataFrame:
    """Return one row per player, service, device and run of equal versions.

    `attributed` holds distinct attributed sightings. Per player, service and device they are
    taken in the order (timestamp, transaction id, session id, version); of several at one
    instant only the last counts, for runs and for `sightings` alike. A run is in effect from its
    first sighting (`valid_from`) to the first of the next run (`valid_to`, null for the current
    one); `last_seen_at` is its own last sighting. Sorted by player, service, device, valid_from.
    """
    kept = _last_of_each_instant(_numbered(attributed))
    runs = kept.with_columns(
        _starts=_STARTS_RUN,
        _ends=_STARTS_RUN.shift(-1, fill_value=True),
        _row=pl.int_range(pl.len(), dtype=pl.Int64),
    )
    # The n-th start and the n-th end belong to one run: rows are in order and runs are gapless.
    ends = runs.filter("_ends").select(last_seen_at="event_at", _last="_row")
    return (
        pl.concat([runs.filter("_starts"), ends], how="horizontal")
        .with_columns(
            valid_from="event_at",
            valid_to=pl.when(_TRACK_GOES_ON).then(pl.col("event_at").shift(-1)),
            sightings=pl.col("_last") - pl.col("_row") + 1,
        )
        .select(INTERVAL)
    )


def runs_of(history: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals (as `intervals` gives them) that rows of `user_version_history` hold."""
    return (
        history.select("player_id", "timeline")
        .explode("timeline")
        .unnest("timeline")
        .select(INTERVAL)
    )


def grow(runs: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals of `runs` after some sightings more, all later than what they hold.

    `runs`: whole intervals of some players, as `intervals` gives them; `later`: attributed
    sightings of any players, each after the `last_seen_at` of its player's track. The result
    equals `intervals` of all sightings together, but costs only those that are new. Sorted by
    player, service, device, valid_from.
    """
    current = runs.filter(pl.col("valid_to").is_null())
    stand_in = current.select(
        *TRACK,
        "version",
        event_at="last_seen_at",
        transaction_id=pl.lit(0, pl.Int64),
        session_id=pl.lit(""),
        event_id=pl.lit(""),
    )
    grown = intervals(pl.concat([stand_in, later.select(stand_in.columns)]))
    known = current.select(*TRACK, valid_from="last_seen_at", began="valid_from", n="sightings")
    whole = grown.join(known, on=[*TRACK, "valid_from"], how="left").with_columns(
        # The stand-in is one sighting for all that its run holds.
        valid_from=pl.coalesce("began", "valid_from"),
        sightings=pl.col("sightings") + pl.col("n").fill_null(1) - 1,
    )
    ended = runs.filter(pl.col("valid_to").is_not_null())
    return pl.concat([ended, whole.select(INTERVAL)]).sort(*TRACK, "valid_from")


def not_later(sightings: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Return the sightings that do not come after all that their track holds."""
    seen = runs.group_by(TRACK).agg(pl.col("last_seen_at").max())
    return sightings.join(seen, on=TRACK).filter(pl.col("event_at") <= pl.col("last_seen_at"))


def _numbered(attributed: pl.DataFrame) -> pl.DataFrame:
    """Return the sightings with `_track`, which sorts like player, service and device."""
    # Sorting millions of rows by one number is several times faster than by three texts. The
    # numbers start at 1, so that 0 stands for "no row before" and "no row after".
    rows = attributed.lazy().drop("event_id")
    tracks = rows.select(TRACK).unique().collect(engine="streaming").sort(TRACK)
    numbers = tracks.with_row_index("_track", offset=1).lazy()
    return rows.join(numbers, on=TRACK, nulls_equal=True).collect(engine="streaming")


def _last_of_each_instant(numbered: pl.DataFrame) -> pl.DataFrame:
    """Return the sightings that count, sorted by track and time."""
    instant = ["_track", "event_at"]
    in_order = numbered.sort(instant).with_columns(_tied=_tied(instant))
    tied = in_order.filter("_tied")
    if tied.is_empty():
        return in_order
    # Ties are few: only they pay for sorting by text.
    last = tied.sort(*instant, "transaction_id", "session_id", "version").unique(
        instant, keep="last"
    )
    return pl.concat([in_order.filter(~pl.col("_tied")), last]).sort(instant)


def _tied(columns: list[str]) -> pl.Expr:
    def like(row: int) -> pl.Expr:
        return pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(row)) for c in columns)

    return like(1) | like(-1)


def user_version_intervals(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the boundaries of the intervals: one row per interval, without what grows in it,
    with the version's `version_sort_key`."""
    is_open = pl.col("valid_to").is_null()
    return runs.select(
        *BOUNDARY,
        version_sort_keys(runs["version"]),
        p_state=pl.when(is_open).then(pl.lit("open")).otherwise(pl.lit("closed")),
        p_month=pl.coalesce("valid_to", "valid_from").dt.date().dt.month_start(),
    )


def fold_history(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the table `user_version_history`: exactly one row per player of the intervals.

    `current_*` are those of the latest sighting; of several at that instant, the one with the
    greatest (service, device). `version_count` counts distinct versions; `timeline` lists the
    player's intervals by service, device and valid_from. Sorted by player.
    """
    return (
        runs.sort("player_id", "service_name", "device", "valid_from")
        .group_by("player_id", maintain_order=True)
        .agg(
            pl.col("version", "device", "service_name")
            .sort_by("last_seen_at", "service_name", "device")
            .last()
            .name.prefix("current_"),
            first_seen_at=pl.col("valid_from").min(),
            last_seen_at=pl.col("last_seen_at").max(),
            version_count=pl.col("version").n_unique().cast(pl.Int64),
            timeline=pl.struct(TIMELINE),
        )
        .rename({"current_service_name": "current_service"})
        .with_columns(p_last_seen_date=pl.col("last_seen_at").dt.date())
    )
