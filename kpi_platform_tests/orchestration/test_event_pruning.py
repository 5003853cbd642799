"""Old events go; what Dagster's pages say of each hour, asset and check stays the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from kpi_platform.orchestration.event_pruning import Pruned, prune_events
from kpi_platform_tests.servers import PostgresServer

HOURS = dg.HourlyPartitionsDefinition("2026-01-01-00:00", end_date="2026-01-01-06:00")
KEYS = HOURS.get_partition_keys()
ONE = dg.AssetKey("one")
CHECK = dg.AssetCheckKey(ONE, "is_right")


@dg.asset(
    name="one",
    partitions_def=HOURS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    config_schema={"fails": dg.Field(bool, default_value=False)},
    check_specs=[dg.AssetCheckSpec("is_right", asset="one")],
)
def one(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Hours that are told one by one; a run may fail before it says anything."""
    if context.op_execution_context.op_config["fails"]:
        raise dg.Failure("as asked")
    for key in context.partition_keys:
        context.log_event(dg.AssetObservation("one", partition=key))
        context.log_event(dg.AssetCheckEvaluation(ONE, "is_right", passed=True, partition=key))
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


def _run(instance: dg.DagsterInstance, first: str, last: str, *, fails: bool = False) -> str:
    job = dg.define_asset_job("job", selection="*", partitions_def=HOURS)
    resolved = dg.Definitions(assets=[one], jobs=[job]).resolve_job_def("job")
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    config = {"ops": {"one": {"config": {"fails": fails}}}}
    run = resolved.execute_in_process(
        run_config=config, instance=instance, tags=tags, raise_on_error=False
    )
    assert run.success is not fails
    return run.run_id


def _answers(instance: dg.DagsterInstance) -> dict[str, object]:
    """What pages and sensors ask for, histories aside."""
    storage = instance.event_log_storage
    latest = instance.get_latest_materialization_event(ONE)
    ids = storage.get_latest_storage_id_by_partition
    info = storage.get_asset_check_partition_info([CHECK])
    (check,) = storage.get_latest_asset_check_execution_by_key([CHECK]).values()
    return {
        "partitions": sorted(instance.get_materialized_partitions(ONE)),
        "newest": ids(ONE, dg.DagsterEventType.ASSET_MATERIALIZATION),
        "observed": ids(ONE, dg.DagsterEventType.ASSET_OBSERVATION),
        "planned by failed": sorted(_failed(instance)),
        "latest": latest.timestamp if latest else None,
        "checks": sorted(map(repr, info)),
        "check": (check.run_id, check.status, check.partition),
        "runs": sorted((run.run_id, run.status.value) for run in instance.get_runs()),
        "assets": instance.all_asset_keys(),
    }


def _failed(instance: dg.DagsterInstance) -> set[str]:
    """The partitions that a run planned last, and did not make."""
    storage = instance.event_log_storage
    asked = storage.get_latest_asset_partition_materialization_attempts_without_materializations
    return set(asked(ONE))


def _sqlite(folder: Path) -> dg.DagsterInstance:
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(
        "storage:\n  custom:\n    module: kpi_platform.orchestration.event_storage\n"
        f"    class: HomeStorage\n    config:\n      base_dir: {folder}\n"
        "telemetry:\n  enabled: false\n"
    )
    return dg.DagsterInstance.from_config(str(folder))


def _postgres(folder: Path, server: PostgresServer) -> dg.DagsterInstance:
    place = server.create_database("pruned")
    address = (
        f"postgresql+psycopg2://{place.user}:{place.password}@{place.host}:{place.port}/pruned"
    )
    (folder / "dagster.yaml").write_text(
        f"storage:\n  postgres:\n    postgres_url: {address}\ntelemetry:\n  enabled: false\n"
    )
    return dg.DagsterInstance.from_config(str(folder))


def _history(instance: dg.DagsterInstance) -> int:
    return len(instance.fetch_materializations(ONE, limit=1000).records)


def _prune_all(instance: dg.DagsterInstance) -> Pruned:
    for _ in range(3):
        _run(instance, KEYS[0], KEYS[4])
    failed = _run(instance, KEYS[4], KEYS[5], fails=True)
    before, history = _answers(instance), _history(instance)
    assert before["planned by failed"] == KEYS[4:]
    nothing = prune_events(instance, datetime.now(UTC) - timedelta(days=1))
    assert (nothing.events, nothing.evaluations, nothing.runs) == (0, 0, 0)
    pruned = prune_events(instance, datetime.now(UTC) + timedelta(minutes=1))
    assert _answers(instance) == before
    assert _history(instance) == 5 < history
    assert not instance.all_logs(failed, of_type=dg.DagsterEventType.STEP_FAILURE)
    # Work goes on: what failed is done, and told of.
    again = _run(instance, KEYS[5], KEYS[5])
    assert instance.all_logs(again, of_type=dg.DagsterEventType.STEP_SUCCESS)
    assert set(_answers(instance)["partitions"]) == set(KEYS)  # type: ignore[call-overload]
    return pruned


def test_in_sqlite_the_newest_stays_and_the_files_get_smaller(tmp_path: Path) -> None:
    with _sqlite(tmp_path) as instance:
        pruned = _prune_all(instance)
        assert pruned.runs == 4
        assert pruned.events >= 40 and pruned.evaluations >= 10
        assert pruned.bytes_after < pruned.bytes_before / 3


def test_in_postgres_the_newest_stays(tmp_path: Path, postgres_server: PostgresServer) -> None:
    with _postgres(tmp_path, postgres_server) as instance:
        pruned = _prune_all(instance)
        assert pruned.runs == 4
        assert pruned.bytes_after < pruned.bytes_before


def test_another_process_that_knew_a_run_finds_its_log_empty(tmp_path: Path) -> None:
    with _sqlite(tmp_path) as instance, _sqlite(tmp_path) as server:
        run_id = _run(instance, KEYS[0], KEYS[0])
        assert server.all_logs(run_id)
        prune_events(instance, datetime.now(UTC) + timedelta(minutes=1))
        assert server.all_logs(run_id) == []


def test_runs_under_way_keep_their_logs_and_plans(tmp_path: Path) -> None:
    with _sqlite(tmp_path) as instance:
        run_id = _run(instance, KEYS[0], KEYS[0])
        instance.run_storage.handle_run_event(
            run_id,
            dg.DagsterEvent("PIPELINE_START", "job"),
            datetime.now(UTC),
        )
        logs = len(instance.all_logs(run_id))
        assert prune_events(instance, datetime.now(UTC) + timedelta(minutes=1)).runs == 0
        assert len(instance.all_logs(run_id)) == logs
