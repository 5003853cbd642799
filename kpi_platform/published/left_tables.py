"""Which published tables are not as the KPI database left them, and how it leaves them.

Belongs here: comparing states, and noting new ones. Does not: what a state is (storage), and what
is published.

A lake that was put back to a backup beside a newer database holds older published tables; what the
hours since then contain is in the database already, so that none of their periods would change.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from kpi_platform.storage.kpi_database.embedded import pending
from kpi_platform.storage.kpi_database.published_states import (
    has_marts,
    published_states,
    record_published,
)
from kpi_platform.storage.lake.delta.table_states import (
    TableState,
    is_same_but_for_upkeep,
    state_of,
)
from kpi_platform.storage.lake.lake import Lake


@dataclass(frozen=True)
class LeftTables:
    """Published tables beside what is known of them: `others` are to be published whole."""

    lake: Lake
    others: list[str]
    by_upkeep: Mapping[str, TableState]

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection, lake: Lake, tables: Sequence[str]) -> "LeftTables":
        """Look at the tables below `published/`; none is another while the marts are being built.

        A table that is not there is none: it is published whole in any case.
        """
        others: list[str] = []
        by_upkeep: dict[str, TableState] = {}
        if not has_marts(con) or pending(con):
            return cls(lake, others, by_upkeep)
        known = published_states(con)
        for table in tables:
            uri = lake.path(f"published/{table}")
            now = state_of(uri)
            if now is None or now == known.get(table):
                continue
            if table in known and is_same_but_for_upkeep(uri, known[table], now):
                by_upkeep[table] = now
            else:
                others.append(table)
        return cls(lake, others, by_upkeep)

    def record(self, con: duckdb.DuckDBPyConnection, published: Collection[str]) -> None:
        """Note the states of the tables that were just published, and of those that upkeep wrote:
        its log forgets in time what it did."""
        record_published(con, self.by_upkeep)
        note_left(con, self.lake, published)


def note_left(con: duckdb.DuckDBPyConnection, lake: Lake, published: Collection[str]) -> None:
    """Note the states of tables that were just published from this database."""
    states = {name: state_of(lake.path(f"published/{name}")) for name in published}
    record_published(con, {name: state for name, state in states.items() if state is not None})
