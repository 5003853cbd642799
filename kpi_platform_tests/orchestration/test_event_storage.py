"""Events written many at a time: the same answers, at once for whoever asks, and none lost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.exc import OperationalError

from kpi_platform.orchestration import event_storage
from kpi_platform.orchestration.event_storage import BatchedEventLogStorage, HomeStorage
from kpi_platform.settings import SettingsError

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-09")
KEYS = DAYS.get_partition_keys()


@dg.multi_asset(
    specs=[dg.AssetSpec("one", partitions_def=DAYS), dg.AssetSpec("two", partitions_def=DAYS)],
    check_specs=[dg.AssetCheckSpec("is_right", asset="one")],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def days(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Two assets; each day is told of by itself, and judged."""
    for key in context.partition_keys:
        for name in ("one", "two"):
            context.log_event(dg.AssetMaterialization(name, partition=key, metadata={"rows": 3}))
        context.log_event(
            dg.AssetCheckEvaluation(
                dg.AssetKey("one"), "is_right", passed=key != KEYS[2], partition=key
            )
        )
    yield dg.Output(None, output_name="one")
    yield dg.Output(None, output_name="two")
    yield dg.AssetCheckResult(passed=True, asset_key="one", check_name="is_right")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance whose state lies in a folder, as ours does."""
    (tmp_path / "dagster.yaml").write_text(
        "storage:\n  custom:\n    module: kpi_platform.orchestration.event_storage\n"
        f"    class: HomeStorage\n    config:\n      base_dir: {tmp_path}\n"
        "telemetry:\n  enabled: false\n"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def run_days(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """The whole range in one run."""
    job = dg.define_asset_job("job", selection="*", partitions_def=DAYS)
    definitions = dg.Definitions(assets=[days], jobs=[job])
    tags = {
        "dagster/asset_partition_range_start": KEYS[0],
        "dagster/asset_partition_range_end": KEYS[-1],
    }
    return definitions.resolve_job_def("job").execute_in_process(instance=instance, tags=tags)


def answers(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """What Dagster's pages ask of its events, without times and ids."""
    key = dg.AssetKey("one")
    checks = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(key, "is_right"), limit=100
    )
    records = instance.fetch_materializations(key, limit=100).records
    latest = instance.get_latest_materialization_event(key)
    return {
        "partitions": sorted(instance.get_materialized_partitions(key)),
        "materialisations": [(each.partition_key, each.run_id == run_id) for each in records],
        "latest": latest.asset_materialization.partition if latest else None,
        "checks": sorted((each.partition or "", each.status.value) for each in checks),
        "log": [each.dagster_event_type for each in instance.all_logs(run_id)],
        "ids": instance.all_asset_keys(),
    }


def test_what_was_written_together_answers_like_what_was_written_one_by_one(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert isinstance(instance.event_log_storage, BatchedEventLogStorage)
    batched = run_days(instance)
    plain_folder = tmp_path / "plain"
    plain_folder.mkdir()
    (plain_folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(plain_folder)) as plain:
        assert type(plain.event_log_storage) is SqliteEventLogStorage
        one_by_one = run_days(plain)
        assert batched.success
        found = answers(instance, batched.run_id)
        assert found == answers(plain, one_by_one.run_id)
        assert len(found["partitions"]) == len(KEYS)  # type: ignore[arg-type]


def test_whoever_reads_sees_what_waits(instance: dg.DagsterInstance) -> None:
    run = run_days(instance)
    instance.report_engine_event("seen at once", run.dagster_run)
    messages = [each.message for each in instance.all_logs(run.run_id)]
    assert "seen at once" in messages


def test_another_process_sees_events_within_seconds(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_storage, "SECONDS_AT_MOST", 0.1)
    run = run_days(instance)
    message = "written by the timer"
    instance.report_engine_event(message, run.dagster_run)
    other = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    for _ in range(100):
        logs = other.get_logs_for_run(run.run_id)
        if any(each.message == message for each in logs):
            return
        time.sleep(0.1)
    pytest.fail("the timer wrote nothing")


def test_a_batch_that_cannot_be_written_is_written_one_by_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def refuse(self: BatchedEventLogStorage, events: list[object]) -> bool:
        tried.append(len(events))
        return False

    monkeypatch.setattr(BatchedEventLogStorage, "_write_together", refuse)
    run = run_days(instance)
    assert max(tried) > len(KEYS)
    assert sorted(instance.get_materialized_partitions(dg.AssetKey("two"))) == KEYS
    assert run.success


def test_a_full_disk_is_said_with_its_place(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, BatchedEventLogStorage)
    full = pytest.raises(SettingsError, match=r"^KPI_HOME: [^\n]*database or disk is full[^\n]*$")
    with full, storage._connect("some") as connection:
        connection.exec_driver_sql("pragma max_page_count = 1")
        connection.exec_driver_sql("create table more as select zeroblob(1000000)")
    wrong = pytest.raises(OperationalError, match="no such table")
    with wrong, storage._connect("some") as connection:
        connection.exec_driver_sql("select * from missing")


def test_a_process_that_ends_without_asking_loses_nothing(tmp_path: Path) -> None:
    code = (
        "import dagster as dg, sys\n"
        "from kpi_platform.orchestration.event_storage import HomeStorage\n"
        "from dagster._core.events.log import EventLogEntry\n"
        "log = HomeStorage.from_local(sys.argv[1]).event_log_storage\n"
        "log.store_event(EventLogEntry(None, 20, 'kept', 'run-1', 1.0))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env={**os.environ})
    kept = SqliteEventLogStorage(str(tmp_path / "history" / "runs")).get_logs_for_run("run-1")
    assert [each.user_message for each in kept] == ["kept"]


def test_the_platforms_own_instance_uses_it(tmp_path: Path) -> None:
    assert HomeStorage.from_local(str(tmp_path)).event_log_storage.__class__ is (
        BatchedEventLogStorage
    )
