"""Players whose history waits to be recomputed, kept in the lake so that no crash forgets them.

Belongs here: adding to and taking from the queue, and what the history already knows. Does not:
why a player is in it.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import polars as pl

from kpi_platform.schemas.tables import SESSION, TABLES
from kpi_platform.storage.lake.lake import Lake

TABLE = "history_queue"
FOLDING = "folding-"
_EVER = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))


def enqueue(lake: Lake, players: pl.DataFrame, *, is_folding: bool = False) -> str | None:
    """Add players, before the change that touches them is committed; returns their batch.

    `players`: `player_id` and, unless `is_folding`, from when to when (both included) the change
    reaches. `is_folding` if what follows is their fold itself: should the batch be found later,
    that fold was killed, their tables may not agree with each other, and the reach is all of time.
    """
    if players.is_empty():
        return None
    batch_id = (FOLDING if is_folding else "") + uuid.uuid4().hex
    rows = players.select("player_id").unique() if is_folding else players
    batch = pl.DataFrame(schema=TABLES[TABLE].polars_schema)
    named = rows.with_columns(batch_id=pl.lit(batch_id))
    lake.append(
        TABLE,
        pl.concat([batch, named.select(n for n in batch.columns if n in named)], how="diagonal"),
    )
    return batch_id


def waiting(lake: Lake) -> pl.DataFrame:
    """The rows of the queue; a change of which it is not known how far it reaches has all of
    time."""
    first, last = (pl.lit(end, pl.Datetime("us", "UTC")) for end in _EVER)
    return (
        lake.scan(TABLE)
        .with_columns(pl.col("changed_from").fill_null(first), pl.col("changed_to").fill_null(last))
        .collect()
    )


def dequeue(lake: Lake, batches: Collection[str]) -> None:
    """Remove batches whose players' history is committed."""
    if batches:
        names = ", ".join(f"'{batch}'" for batch in sorted(batches))
        lake.delete(TABLE, f"batch_id IN ({names})")


def settled_sessions(lake: Lake, hours: Iterable[datetime]) -> pl.DataFrame:
    """The sessions (`SESSION`) of which the history already holds sightings of these hours."""
    return lake.scan_hours("sightings", hours).select(SESSION).unique().collect()
