"""Players whose history waits to be recomputed, kept in the lake so that no crash forgets them.

Belongs here: adding to and taking from the queue, and what the history already knows. Does not:
why a player is in it.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.schemas.tables import SESSION
from kpi_platform.storage.lake import Lake, hours_expression

TABLE = "history_queue"
FOLDING = "folding-"


def enqueue(lake: Lake, players: Sequence[str], *, is_folding: bool = False) -> str | None:
    """Add players, before the change that touches them is committed; returns their batch.

    `is_folding` if what follows is their fold itself: should the batch be found later, that fold
    was killed, and their tables may not agree with each other.
    """
    if not players:
        return None
    batch_id = (FOLDING if is_folding else "") + uuid.uuid4().hex
    lake.append(TABLE, pl.DataFrame({"batch_id": [batch_id] * len(players), "player_id": players}))
    return batch_id


def waiting(lake: Lake) -> dict[str, list[str]]:
    """The batches waiting, and the players in each."""
    rows = lake.scan(TABLE).collect()
    return {
        str(batch): sorted(part["player_id"].unique())
        for (batch,), part in rows.partition_by("batch_id", as_dict=True).items()
    }


def dequeue(lake: Lake, batches: Collection[str]) -> None:
    """Remove batches whose players' history is committed."""
    if batches:
        names = ", ".join(f"'{batch}'" for batch in sorted(batches))
        lake.delete(TABLE, f"batch_id IN ({names})")


def settled_sessions(lake: Lake, hours: Iterable[datetime]) -> pl.DataFrame:
    """The sessions (`SESSION`) of which the history already holds sightings of these hours."""
    settled = lake.scan("sightings").filter(hours_expression(hours))
    return settled.select(SESSION).unique().collect()
