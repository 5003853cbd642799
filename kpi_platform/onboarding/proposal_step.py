"""Samples the tables that no source maps and proposes their mappings.

Belongs here: which tables are sampled. Does not: what is made of the samples.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from kpi_platform.arrivals.drift.mapped_columns import schemas_of, tables_of
from kpi_platform.onboarding.name_words import COLUMNS, event_named, says
from kpi_platform.onboarding.proposals import Proposal, propose
from kpi_platform.schemas.sources_file.sources import Source
from kpi_platform.storage.studio_databases import (
    SchemaTraits,
    StudioWarehouse,
    TerminalWarehouseError,
    as_studio_error,
)

# A sample costs a statement: of very many tables only those are sampled that may hold events.
MOST_SAMPLED = 300
# One that does not answer costs seconds: a handful of those, and the rest is not asked.
COST_OF_SLOW = 20
VIEWS = ("view", "late_binding_view")
Table = tuple[str, str]


def propose_unmapped(
    warehouse: StudioWarehouse,
    sources: Sequence[Source],
    catalogs: Mapping[str, pl.DataFrame],
    traits: Mapping[str, SchemaTraits] | None = None,
    *,
    sample_views: bool = False,
) -> dict[str, list[Proposal]]:
    """Proposals per schema for tables that no source maps; a studio without sources shows all.

    A view may run anything for any time: it is sampled only with `sample_views`. What shows rows of
    a table that is mapped or proposed (a view, an inheriting table) is not proposed beside it: its
    events would count twice. Raises StudioWarehouseError if the warehouse cannot be reached; a
    single table that cannot be sampled within seconds is proposed from its names and types.
    """
    proposals: dict[str, list[Proposal]] = {}
    parents: dict[Table, frozenset[Table]] = {}
    left = MOST_SAMPLED
    with as_studio_error():
        for schema in list(catalogs) or warehouse.schemas():
            catalog = catalogs[schema] if schema in catalogs else warehouse.discover(schema)
            of_schema = (traits or {}).get(schema) or _traits(warehouse, schema)
            parents |= {(schema, table): of for table, of in of_schema.parents.items()}
            proposals[schema] = []
            for part in _unmapped(catalog, sources, schema):
                table = str(part["table"][0])
                sample = None
                evidence = _Evidence(warehouse, schema, table)
                if left > 0 and _may_hold_events(table, part, sample_views=sample_views):
                    sample = evidence.sample()
                    left -= 1 if sample is not None else COST_OF_SLOW
                repeats = evidence.repeats if sample is not None else _nobody_knows
                proposals[schema].append(propose(table, part, sample, repeats))
    mapped = {
        (s, t) for source in sources for s in schemas_of([source]) for t, _ in tables_of(source, s)
    }
    return _without_descendants(proposals, mapped, parents)


@dataclass(frozen=True)
class _Evidence:
    """What a table's rows tell, asked for within seconds."""

    warehouse: StudioWarehouse
    schema: str
    table: str

    def sample(self) -> pl.DataFrame | None:
        """Some rows; None for a table that is there but cannot be read, or not in time."""
        try:
            return self.warehouse.sample(self.schema, self.table)
        except TerminalWarehouseError:
            return None

    def repeats(self, columns: Sequence[str]) -> bool | None:
        """Whether two rows have the same values in these columns; None if nobody knows."""
        try:
            return self.warehouse.repeats(self.schema, self.table, columns)
        except TerminalWarehouseError:
            return None


def _nobody_knows(_: Sequence[str]) -> bool | None:
    """For a table that was not asked, or that took too long to answer once already."""
    return None


def _unmapped(
    catalog: pl.DataFrame, sources: Sequence[Source], schema: str
) -> Sequence[pl.DataFrame]:
    mapped = {table for source in sources for table, _ in tables_of(source, schema)}
    unmapped = catalog.filter(~pl.col("table").is_in(sorted(mapped)))
    return unmapped.partition_by("table", maintain_order=True)


def _traits(warehouse: StudioWarehouse, schema: str) -> SchemaTraits:
    try:
        return warehouse.traits(schema)
    except TerminalWarehouseError:
        return SchemaTraits()


def _may_hold_events(table: str, part: pl.DataFrame, *, sample_views: bool) -> bool:
    if not part["is_readable"].any():
        return False
    if str(part["kind"][0]) in VIEWS and not sample_views:
        return False
    names_events = any(says(column, COLUMNS["event"]) for column in part["column"])
    return bool(event_named(table)) or names_events


def _without_descendants(
    found: Mapping[str, Sequence[Proposal]],
    mapped: Collection[Table],
    parents: Mapping[Table, frozenset[Table]],
) -> dict[str, list[Proposal]]:
    """The proposals; what shows the rows of another that is mapped or proposed says so instead."""
    proposed = {(schema, p.table) for schema, of in found.items() for p in of if p.mapping}
    counted = proposed | set(mapped)

    def judged(schema: str, proposal: Proposal) -> Proposal:
        above = sorted(_ancestors((schema, proposal.table), parents) & counted)
        if not proposal.mapping or not above:
            return proposal
        names = ", ".join(f"{of}.{table}" for of, table in above)
        return Proposal(
            proposal.table, {}, (f"shows rows of {names}: they would count twice",), 0.0
        )

    return {schema: [judged(schema, p) for p in of] for schema, of in found.items()}


def _ancestors(table: Table, parents: Mapping[Table, frozenset[Table]]) -> set[Table]:
    """Everything that the table shows rows of, through any number of views."""
    seen: set[Table] = set()
    todo = [table]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in seen and parent != table:
                seen.add(parent)
                todo.append(parent)
    return seen
