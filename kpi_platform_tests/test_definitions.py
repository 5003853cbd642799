"""What the code location offers: it loads from nothing, and the catalogue shows assets fully."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from kpi_platform.definitions import defs

GRAPH = defs.resolve_asset_graph()
HOURLY = {
    "raw_telemetry",
    "raw_console_feed",
    "raw_stream_feed",
    "stream_stats",
    "raw_studio_events",
    "cleaned_events",
    "quarantined_events",
    "hour_ledger",
    "table_ledger",
    "sessions",
    "user_version_history",
    "user_version_intervals",
    "kpi_hourly",
    "kpi_daily",
}
ASSETS = sorted(GRAPH.executable_asset_keys)


def test_definitions_load_with_an_empty_environment_and_no_credentials(tmp_path: Path) -> None:
    code = (
        "import os, socket\n"
        # Whoever opens a connection while definitions load fails.
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from kpi_platform.definitions import defs\n"
        "print(len(list(defs.assets)))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    # What dbt makes of its project lies in the home, and nothing else is written anywhere.
    assert [path.name for path in tmp_path.iterdir()] == [".kpi"]
    assert [path.name for path in (tmp_path / ".kpi").iterdir()] == ["dbt"]


def test_no_check_of_a_model_blocks_so_that_nothing_waits_for_one_without_a_result() -> None:
    # With our executor Dagster waits for a result of every blocking check, without end, and a test
    # of dbt has none where nothing is to be built.
    checks = [GRAPH.get(key) for key in GRAPH.asset_check_keys]
    blocking = {check.key.asset_key.path[-1] for check in checks if check.blocking}
    assert blocking <= HOURLY - {"kpi_hourly", "kpi_daily"}


def test_exactly_the_hourly_tables_are_partitioned_by_hour() -> None:
    partitioned = {key.to_user_string() for key in ASSETS if GRAPH.get(key).partitions_def}
    assert partitioned == HOURLY


@pytest.mark.parametrize("key", ASSETS, ids=lambda key: key.to_user_string())
def test_every_asset_can_ride_along_in_a_range(key: dg.AssetKey) -> None:
    policy = GRAPH.get(key).backfill_policy
    assert policy is not None
    assert policy.policy_type == dg.BackfillPolicy.single_run().policy_type


@pytest.mark.parametrize("key", ASSETS, ids=lambda key: key.to_user_string())
def test_the_catalogue_shows_every_asset_fully(key: dg.AssetKey) -> None:
    asset = GRAPH.get(key)
    assert asset.group_name not in (None, "default")
    assert asset.kinds and asset.owners and asset.description
    # What a person reads, not the SQL of it, which the project has.
    assert "```sql" not in asset.description
    # Pages have no columns.
    assert "dagster/column_schema" in asset.metadata or asset.kinds == {"html"}


@pytest.mark.parametrize("key", ASSETS, ids=lambda key: key.to_user_string())
def test_every_column_says_what_it_means_and_its_type_in_words(key: dg.AssetKey) -> None:
    schema = GRAPH.get(key).metadata.get("dagster/column_schema")
    columns = schema.columns if isinstance(schema, dg.TableSchema) else []
    assert [column.name for column in columns if not column.description] == []
    python = re.compile(r"[A-Z]\w*\(|time_unit=|dtype")
    assert [column.type for column in columns if python.search(column.type)] == []


def test_the_control_of_builds_is_out_of_the_way() -> None:
    steering = {key for key in ASSETS if GRAPH.get(key).group_name == "kpis_control"}
    assert steering == {key for key in ASSETS if key.path[-1].startswith("affected_")}
    assert len(steering) > 10


def test_single_hours_are_blocked_by_accounting_and_contracts() -> None:
    blocking = {key.name for key in GRAPH.asset_check_keys if GRAPH.get(key).blocking}
    assert {
        "every_line_is_accounted_for",
        "raw_telemetry_keeps_its_contract",
        "cleaned_events_keeps_its_contract",
        "sessions_keeps_its_contract",
        "one_row_per_player",
        "intervals_do_not_overlap",
    } <= blocking
