"""Which player an event names: one expression for every room that attributes events.

Belongs here: reading the player id off an event. Does not: whose session an event is in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from kpi_platform.schemas.attributes import attribute


@dataclass(frozen=True)
class PlayerIdRules:
    """Which attributes name a player, first found wins, and which sources' ids are local."""

    attributes: tuple[str, ...]
    local_sources: tuple[str, ...] = ()


def player_id(player_id_attributes: Sequence[str], local_sources: Collection[str] = ()) -> pl.Expr:
    """Return the expression of the player an event (columns of `cleaned_events`) names, or null.

    The first of `player_id_attributes` that is present and not blank wins. Ids are global across
    studios, except those of `local_sources`, which become `<studio>:<id>` so that equal ids of
    two studios stay two players.
    """
    named = pl.coalesce([attribute(name) for name in player_id_attributes])
    if not local_sources:
        return named
    local = pl.col("source").is_in(list(local_sources))
    prefixed = pl.concat_str(pl.col("studio"), named, separator=":")
    return pl.when(local).then(prefixed).otherwise(named)
