"""How a lake is laid out, beside how this release lays it out: ours, older, half upgraded, later.

Belongs here: what is judged, the note that keeps the judgement in the lake, and the words. Does
not: bringing an older lake here (`upgrades`).

The tables themselves are judged, never what somebody wrote down of them; the note spares every run
from opening all of them, and says that an upgrade began.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from deltalake import DeltaTable

from kpi_platform.schemas.tables import TABLES, Table
from kpi_platform.storage.lake.delta.delta_writes import table_properties
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.lake_root import LakeError, LakeRoot

NOTE = "_layout.json"
_NAMED = 3


class LayoutError(LakeError):
    """The lake is laid out as another release does; the message is one line that says what next."""


@dataclass(frozen=True)
class Difference:
    """What a table lacks of this release's layout, or has that this release does not know."""

    table: str
    columns: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    unknown: str = ""

    def __str__(self) -> str:
        """In words."""
        if self.unknown:
            return f"{self.table} {self.unknown}"
        return f"{self.table} lacks {', '.join(self.columns or self.properties)}"


def refuse_other_layout(lake: Lake) -> None:
    """Raise LayoutError if the lake is not laid out as this release does; a lake that is gets a
    note of it. Called before anything is written."""
    if said := said_of_layout(lake):
        raise LayoutError(said)
    if _noted(lake) != _ours() and lake.tables():
        lake.write_note(NOTE, _ours())


def said_of_layout(lake: Lake) -> str:
    """One line if the lake is not laid out as this release does, and what brings it here; else
    nothing. Tables that cannot be read are left to those who read them."""
    noted = _noted(lake)
    if noted == _ours():
        return ""
    differences = layout_differences(lake)
    unknown = [item for item in differences if item.unknown]
    place = f"KPI_LAKE_URI: {lake.uri}"
    if unknown:
        return f"{place} is not of this release, nor of one before that it knows: {_some(unknown)}"
    if is_half_upgraded(lake):
        return f"{place}: an upgrade began and did not end: run `kpi upgrade` again"
    if differences:
        return f"{place} is of an earlier release ({_some(differences)}): run `kpi upgrade`"
    return ""


def layout_differences(lake: Lake) -> list[Difference]:
    """What the tables lack or have otherwise; tables that were never written lack nothing."""
    return [found for name, contract in TABLES.items() for found in _of_table(lake, name, contract)]


def words_of(differences: Sequence[Difference]) -> list[str]:
    """The differences in words: tables with other columns each, what else is lacking together."""
    named = [str(item) for item in differences if item.columns or item.unknown]
    others = [item for item in differences if item.properties and not item.columns]
    if others:
        lacking = sorted({name for item in others for name in item.properties})
        named.append(f"{len(others)} tables lack {', '.join(lacking)}")
    return named


def is_half_upgraded(lake: Lake) -> bool:
    """Whether an upgrade began that did not end."""
    try:
        return bool(json.loads(_noted(lake) or "{}").get("is_upgrading"))
    except (ValueError, AttributeError):
        return False


def note_upgrade(lake: Lake, *, has_ended: bool) -> None:
    """Leave in the lake that an upgrade begins, or that it has ended."""
    lake.write_note(NOTE, _ours() if has_ended else json.dumps({"is_upgrading": True}))


def _of_table(lake: Lake, name: str, contract: Table) -> Iterator[Difference]:
    try:
        # As it lies there: a lake of contracts refuses what is partitioned otherwise.
        snapshot = LakeRoot.open(lake, name)
    except LakeError:
        return
    if snapshot is None:
        return
    if unknown := _unknown(snapshot, contract):
        yield Difference(name, unknown=unknown)
        return
    there = _columns(snapshot)
    columns = tuple(column for column in contract.polars_schema if column not in there)
    had = snapshot.metadata().configuration
    wanted = table_properties(contract).items()
    properties = tuple(key for key, value in wanted if had.get(key) != value)
    if columns or properties:
        yield Difference(name, columns, properties)


def _unknown(snapshot: DeltaTable, contract: Table) -> str:
    laid_out = tuple(snapshot.metadata().partition_columns)
    if laid_out != contract.partition_by:
        return f"is partitioned by {', '.join(laid_out) or 'nothing'}"
    more = [name for name in _columns(snapshot) if name not in contract.polars_schema]
    return f"has {', '.join(more)}" if more else ""


def _columns(snapshot: DeltaTable) -> list[str]:
    return [field.name for field in snapshot.schema().fields]


def _noted(lake: Lake) -> str:
    return lake.read_note(NOTE) or ""


@cache
def _ours() -> str:
    """What the note says of a lake that this release laid out."""
    texts = [
        repr((name, contract.partition_by, contract.polars_schema, table_properties(contract)))
        for name, contract in TABLES.items()
    ]
    digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()
    return json.dumps({"layout": digest})


def _some(differences: Sequence[Difference]) -> str:
    words = words_of(differences)
    more = len(words) - _NAMED
    named = "; ".join(words[:_NAMED])
    return f"{named}; and {more} more" if more > 0 else named
