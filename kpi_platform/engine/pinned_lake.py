"""A lake that stands still: every table as it was at one moment, whatever is written meanwhile.

Belongs here: reading at pinned versions. Does not: writing, which a pinned lake refuses.
"""

from collections.abc import Iterable

from deltalake import DeltaTable

from kpi_platform.engine.hour_fingerprints import TABLE as FINGERPRINTS
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, LakeError

_TRIES = 20


class PinnedLake(Lake):
    """Reads every table at the version it had when first pinned."""

    def __init__(self, uri: str, tables: Iterable[str]) -> None:
        """Raises LakeError if the lake cannot be read."""
        super().__init__(uri)
        self._pinned: dict[str, DeltaTable | None] = {}
        for table in tables:
            self._pinned[table] = super().open(table)

    def open(self, table: str) -> DeltaTable | None:
        """The pinned snapshot, or None if the table was not there."""
        return self._pinned[table]

    def _create(self, table: str) -> DeltaTable:
        raise LakeError(f"{table}: a pinned lake is only read")


def pin(lake: Lake) -> PinnedLake:
    """Every table of the lake at one moment at which the fingerprints tell the truth about them.

    An hour's fingerprints are forgotten before it is worked on and recorded last, so tables and
    fingerprints agree if no fingerprint was written while they were opened. A lake too busy for
    that is pinned all the same: hours worked on meanwhile may then look different. Raises
    LakeError if the lake cannot be read.
    """
    for _ in range(_TRIES):
        pinned = PinnedLake(lake.uri, [FINGERPRINTS, *(t for t in TABLES if t != FINGERPRINTS)])
        if lake.version(FINGERPRINTS) == pinned.version(FINGERPRINTS):
            break
    return pinned
