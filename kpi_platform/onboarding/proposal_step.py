"""Samples the tables that no source maps and proposes their mappings.

Belongs here: which tables are sampled. Does not: what is made of the samples.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from kpi_platform.arrivals.drift.mapped_columns import tables_of
from kpi_platform.onboarding.name_words import COLUMNS, event_named, says
from kpi_platform.onboarding.proposals import Proposal, propose
from kpi_platform.schemas.sources import Source
from kpi_platform.storage.studio_databases import StudioWarehouse, TerminalWarehouseError

# A sample costs a statement: of very many tables only those are sampled that may hold events.
MOST_SAMPLED = 300


def propose_unmapped(
    warehouse: StudioWarehouse, sources: Sequence[Source], catalogs: Mapping[str, pl.DataFrame]
) -> dict[str, list[Proposal]]:
    """Proposals per schema for tables that no source maps; a studio without sources shows all.

    Raises StudioWarehouseError if the warehouse cannot be reached; a single table that cannot be
    sampled is proposed from its names and types.
    """
    schemas = list(catalogs) or warehouse.schemas()
    found: dict[str, list[Proposal]] = {}
    left = MOST_SAMPLED
    for schema in schemas:
        catalog = catalogs[schema] if schema in catalogs else warehouse.discover(schema)
        mapped = {table for source in sources for table, _ in tables_of(source, schema)}
        tables = catalog.filter(~pl.col("table").is_in(sorted(mapped))).partition_by(
            "table", maintain_order=True
        )
        found[schema] = []
        for part in tables:
            table = str(part["table"][0])
            is_sampled = left > 0 and _may_hold_events(table, part)
            left -= is_sampled
            sample = _sample(warehouse, schema, table) if is_sampled else None
            found[schema].append(propose(table, part, sample))
    return found


def _may_hold_events(table: str, part: pl.DataFrame) -> bool:
    if not part["is_readable"].all():
        return False
    names_events = any(says(column, COLUMNS["event"]) for column in part["column"])
    return bool(event_named(table)) or names_events


def _sample(warehouse: StudioWarehouse, schema: str, table: str) -> pl.DataFrame | None:
    """Some rows; None for a table that is there but cannot be read."""
    try:
        return warehouse.sample(schema, table)
    except TerminalWarehouseError:
        return None
