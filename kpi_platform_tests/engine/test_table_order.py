"""The order of tables is one graph, and everything that follows it follows this one."""

import dagster as dg

from kpi_platform.definitions import defs
from kpi_platform.engine.table_order import MADE_OF, STEPS, next_tables
from kpi_platform.schemas.tables import TABLES


def test_a_table_stands_after_those_it_reads() -> None:
    seen: set[str] = set()
    for table, read in MADE_OF.items():
        assert seen >= set(read), table
        seen.add(table)
    assert set(TABLES) >= seen


def test_an_hour_reaches_every_table_that_is_made_of_it() -> None:
    reached = {"raw_studio_events"}
    for table in STEPS:
        if table in reached:
            reached |= set(next_tables(table))
    assert reached == set(STEPS) - {"raw_telemetry", "raw_console_feed"}
    assert next_tables("user_version_history") == []


def test_dagsters_graph_is_this_one() -> None:
    graph = defs.resolve_asset_graph()
    for table, read in MADE_OF.items():
        parents = graph.get(dg.AssetKey(table)).parent_keys
        assert parents == {dg.AssetKey(name) for name in read}, table
