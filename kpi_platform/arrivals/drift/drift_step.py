"""Looks at a studio's warehouse, says what changed, and remembers what it saw.

Belongs here: the order of reading, comparing and remembering. Does not: the comparison.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from kpi_platform.arrivals.drift.drift import Change, find_changes, find_hidden
from kpi_platform.arrivals.drift.drift_words import sentence
from kpi_platform.arrivals.drift.mapped_columns import schemas_of, tables_of
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources_file.sources import Source
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import (
    SchemaTraits,
    StudioWarehouse,
    TerminalWarehouseError,
    as_studio_error,
)
from kpi_platform.storage.studio_databases.sql import literal

TABLE = "warehouse_columns"
Remember = Literal["sound", "all", "nothing"]


@dataclass(frozen=True)
class StudioDrift:
    """What changed at a studio, and the catalog of each schema as it is now. `stopped`: the sources
    whose hours stop for it."""

    studio: str
    changes: tuple[Change, ...]
    catalogs: Mapping[str, pl.DataFrame]
    traits: Mapping[str, SchemaTraits] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()

    @property
    def hidden(self) -> frozenset[tuple[str, str]]:
        """The tables, as (schema, table), of which row-level security shows us no row."""
        return frozenset(
            (schema, table)
            for schema, of in self.traits.items()
            for table, shown in of.hidden.items()
            if shown == "none"
        )

    @property
    def blocking(self) -> list[Change]:
        """Changes for which hours must stop, the studio's or those of the sources that read it."""
        return [change for change in self.changes if change.is_blocking]

    @property
    def sentences(self) -> list[str]:
        """Every change in plain words, blocking ones first."""
        return [sentence(change) for change in self.changes]

    @property
    def why_stopped(self) -> str:
        """One line for the ledger; empty if the studio's hour may go on, but for single sources."""
        return " ".join(sentence(change) for change in self.blocking if change.stops_studio)


def look_for_drift(
    lake: Lake,
    studio: str,
    sources: Sequence[Source],
    warehouse: StudioWarehouse,
    remember: Remember = "sound",
) -> StudioDrift:
    """Compare the schemas that the studio's sources read with what was last found right.

    What blocks is not remembered: it is said again until the warehouse is as before, or the
    table's mapping was changed, which tells that somebody looked; `remember` all accepts it, and
    nothing only looks. Raises StudioWarehouseError.
    """
    changes: list[Change] = []
    schemas = schemas_of(sources)
    with warehouse.held():
        with as_studio_error():
            catalogs = {schema: warehouse.discover(schema) for schema in schemas}
        traits = {schema: _traits(warehouse, schema) for schema in schemas}
    known = lake.scan(TABLE).filter(pl.col("studio") == studio).collect()
    for schema, now in catalogs.items():
        before = known.filter(pl.col("schema") == schema)
        marks = _mapping_fingerprints(sources, schema)
        seen = _reviewed(before, now, marks)
        of_schema = find_changes(schema, seen if before.height else None, now, sources)
        of_schema = [*find_hidden(schema, traits[schema].hidden, sources), *of_schema]
        changes += of_schema
        if remember != "nothing":
            kept = now if remember == "all" else _to_remember(seen, now, of_schema)
            _remember(lake, studio, schema, kept, marks, before)
    return StudioDrift(studio, tuple(changes), catalogs, traits, _stopped(changes, sources))


def _stopped(changes: Sequence[Change], sources: Sequence[Source]) -> tuple[str, ...]:
    blocking = [change for change in changes if change.is_blocking]
    if any(change.stops_studio for change in blocking):
        return tuple(sorted(source.key for source in sources))
    broken = {(change.schema, change.table) for change in blocking}
    return tuple(
        sorted(
            source.key
            for source in sources
            if any((s, t) in broken for s in schemas_of([source]) for t, _ in tables_of(source, s))
        )
    )


def _traits(warehouse: StudioWarehouse, schema: str) -> SchemaTraits:
    """What else the catalog tells; a database that does not say is read all the same."""
    try:
        with as_studio_error():
            return warehouse.traits(schema)
    except TerminalWarehouseError:
        return SchemaTraits()


def _mapping_fingerprints(sources: Sequence[Source], schema: str) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for source in sources:
        for table, mapping in tables_of(source, schema):
            texts.setdefault(table, []).append(mapping.model_dump_json())
    return {table: fingerprint(*sorted(found)) for table, found in texts.items()}


def _reviewed(before: pl.DataFrame, now: pl.DataFrame, marks: Mapping[str, str]) -> pl.DataFrame:
    """What was seen; a table whose mapping was changed since counts as seen as it is now."""
    seen_marks = dict(before.select("table", "mapping_fingerprint").unique().iter_rows())
    looked_at = [t for t, mark in seen_marks.items() if t in marks and marks[t] != mark]
    kept = before.select(now.columns).filter(~pl.col("table").is_in(looked_at))
    return pl.concat([kept, now.filter(pl.col("table").is_in(looked_at))])


def _to_remember(seen: pl.DataFrame, now: pl.DataFrame, changes: Sequence[Change]) -> pl.DataFrame:
    """The catalog as it is now, but tables with a blocking change as they were."""
    blocking = [change for change in changes if change.is_blocking]
    was = seen.filter(pl.col("table").is_in(sorted({change.table for change in blocking})))
    # What a mapped table was probably renamed to stays new, so that it is named again.
    new_names = [change.now for change in blocking if change.kind == "table renamed"]
    left_out = {*was["table"], *new_names}
    return pl.concat([now.filter(~pl.col("table").is_in(sorted(left_out))), was])


def _remember(
    lake: Lake,
    studio: str,
    schema: str,
    catalog: pl.DataFrame,
    marks: Mapping[str, str],
    before: pl.DataFrame,
) -> None:
    """Write the schema's rows if they differ: an hour in which nothing changed writes nothing."""
    rows = catalog.select(
        pl.lit(studio).alias("studio"),
        pl.lit(schema).alias("schema"),
        pl.all(),
        pl.col("table").replace_strict(marks, default="").alias("mapping_fingerprint"),
    ).select(TABLES[TABLE].polars_schema.names())
    key = ["table", "position", "column"]
    if not rows.sort(key).equals(before.select(rows.columns).sort(key)):
        where = f"studio = {literal(studio)} AND schema = {literal(schema)}"
        lake.replace(TABLE, rows, where)
