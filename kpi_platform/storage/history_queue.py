"""Players whose history waits to be recomputed, kept in the lake so that no crash forgets them.

Belongs here: adding to and taking from the queue. Does not: why a player is in it.
"""

import uuid
from collections.abc import Sequence

import polars as pl

from kpi_platform.storage.lake import Lake

TABLE = "history_queue"


def enqueue(lake: Lake, players: Sequence[str]) -> None:
    """Add players, before the change that touches them is committed."""
    if players:
        batch = pl.DataFrame({"batch_id": [uuid.uuid4().hex] * len(players), "player_id": players})
        lake.append(TABLE, batch)


def waiting(lake: Lake) -> tuple[list[str], list[str]]:
    """The batches waiting and the distinct players in them."""
    rows = lake.scan(TABLE).collect()
    return sorted(rows["batch_id"].unique()), sorted(rows["player_id"].unique())


def dequeue(lake: Lake, batches: Sequence[str]) -> None:
    """Remove batches whose players' history is committed."""
    if batches:
        names = ", ".join(f"'{batch}'" for batch in batches)
        lake.delete(TABLE, f"batch_id IN ({names})")
