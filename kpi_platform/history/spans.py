"""How far a change reaches into a player's history, and putting what was read anew in its place.

Belongs here: the bounds in time between which sightings are read again, and joining their runs
with those before and after. Does not: why a player is touched, and where sightings are read from.
"""

from collections.abc import Sequence

import polars as pl

from kpi_platform.history.timeline import INTERVAL, TRACK, intervals

SPAN = ["player_id", "changed_from", "changed_to"]
"""Of a player: all sightings that were lost, won or changed lie between, both included."""


def span_of(seen: pl.DataFrame) -> pl.DataFrame:
    """Return `SPAN` of each player of these attributed sightings, if these are what changed."""
    at = pl.col("event_at")
    return seen.group_by("player_id").agg(changed_from=at.min(), changed_to=at.max()).select(SPAN)


def hull(spans: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one `SPAN` per player, which holds all of theirs in these frames."""
    return (
        pl.concat([frame.select(SPAN) for frame in spans])
        .group_by("player_id")
        .agg(pl.col("changed_from").min(), pl.col("changed_to").max())
    )


def reach(runs: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return per player (`SPAN`) between which instants sightings have to be read again.

    Of a run that the change meets the stored history knows how many sightings it holds, but not
    when: it is read again whole. `runs`: the stored intervals of the players in `spans`.
    """
    whole = _met(runs, spans).select(
        "player_id", changed_from="valid_from", changed_to="last_seen_at"
    )
    return hull([spans, whole])


def splice(runs: pl.DataFrame, seen: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals of the players in `spans` as they are after the change.

    `runs` are all their intervals before it; `seen` all attributed sightings they have now within
    `reach(runs, spans)`, and maybe more. The result equals `intervals` of all their sightings: the
    runs that the change does not meet hold the same sightings as before, and lie wholly before or
    after those read again. Sorted by player, service, device, valid_from.
    """
    met = _met(runs, spans)
    kept = runs.join(met, on=[*TRACK, "valid_from"], how="anti")
    ends = met.group_by(TRACK).agg(
        _first=pl.col("valid_from").min(), _last=pl.col("last_seen_at").max()
    )
    again = (
        seen.join(spans, on="player_id")
        .join(ends, on=TRACK, how="left")
        # The player's other tracks are read as far as this one, and hold runs there that are kept.
        .filter(
            pl.col("event_at") >= pl.min_horizontal("changed_from", "_first"),
            pl.col("event_at") <= pl.max_horizontal("changed_to", "_last"),
        )
    )
    return _joined(pl.concat([kept, intervals(again.select(seen.columns))]))


def _met(runs: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The runs with a sighting on both sides of, at, or within the bounds of what changed."""
    return (
        runs.join(spans, on="player_id")
        .filter(
            pl.col("valid_from") <= pl.col("changed_to"),
            pl.col("last_seen_at") >= pl.col("changed_from"),
        )
        .select(INTERVAL)
    )


def _joined(runs: pl.DataFrame) -> pl.DataFrame:
    """Intervals of runs that do not overlap: neighbours of one version become one."""
    ordered = runs.sort(*TRACK, "valid_from")
    return (
        ordered.group_by(_run=pl.struct(*TRACK, "version").rle_id(), maintain_order=True)
        .agg(
            pl.col(*TRACK, "version", "valid_from").first(),
            pl.col("last_seen_at").last(),
            pl.col("sightings").sum(),
        )
        .with_columns(valid_to=pl.col("valid_from").shift(-1).over(TRACK))
        .select(INTERVAL)
    )
