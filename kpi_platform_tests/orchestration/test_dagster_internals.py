"""What the platform takes from Dagster beyond its public interface still does what it is taken for.

If one of these fails after an upgrade of Dagster, `kpi_platform/orchestration/dagster_internals.py`
is the one place to mend; each test says what would be wrong without it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from kpi_platform.orchestration.dagster_internals import (
    EXECUTOR,
    CheckResult,
    DataVersionCache,
    already_recorded,
    check_states,
    evaluation_of,
    keys_of_run,
    leave_inputs_unread,
)
from kpi_platform.orchestration.dagster_state import HomeInstance
from kpi_platform.orchestration.partitions import hourly_partitions

HOURS = hourly_partitions(datetime(2026, 1, 1, tzinfo=UTC))
RANGE = {
    "dagster/asset_partition_range_start": "2026-01-01-00:00",
    "dagster/asset_partition_range_end": "2026-01-01-02:00",
}
KEYS = ["2026-01-01-00:00", "2026-01-01-01:00", "2026-01-01-02:00"]
SINGLE = dg.BackfillPolicy.single_run()


@dg.multi_asset(specs=[dg.AssetSpec("hours", partitions_def=HOURS)], backfill_policy=SINGLE)
def hours(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
    """Is well in one of three hours, gives its output, and then fails."""
    context.log_event(dg.AssetMaterialization("hours", partition=KEYS[1]))
    yield already_recorded("hours")
    raise dg.Failure("two hours failed")


@dg.asset(deps=["hours"], backfill_policy=SINGLE)
def page(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Has no hours; notes those of its run."""
    return dg.MaterializeResult(metadata={"hours": keys_of_run(context.run, HOURS)})


def job() -> dg.JobDefinition:
    """Both, as the platform's definitions run theirs."""
    every = dg.define_asset_job("both", dg.AssetSelection.all())
    return dg.Definitions([hours, page], jobs=[every], executor=EXECUTOR).resolve_job_def("both")


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """As `dagster.yaml` names it."""
    module = "kpi_platform.orchestration.dagster_state"
    (tmp_path / "dagster.yaml").write_text(
        f"instance_class: {{module: {module}, class: HomeInstance, config: {{}}}}\n"
    )
    monkeypatch.setenv("KPI_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        assert isinstance(made, HomeInstance)
        yield made


def test_a_range_is_recorded_and_planned_as_it_is_and_what_failed_is_tried_again(
    instance: dg.DagsterInstance,
) -> None:
    run = dg.execute_job(dg.reconstructable(job), instance, tags=RANGE)

    # Without the executor's setting nothing follows a step of which an hour failed.
    assert not run.success
    assert [event.step_key for event in run.get_step_failure_events()] == ["hours"]
    done = run.get_asset_materialization_events()
    # Without the mark Dagster records all three hours, failed ones included.
    assert [(str(e.asset_key.path[0]), e.partition) for e in done] == [
        ("hours", KEYS[1]),
        ("page", None),
    ]
    noted = done[1].materialization.metadata["hours"].value
    assert noted == KEYS
    # Without an instance that plans asset by asset, `page` is planned once an hour.
    planned = instance.all_logs(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    plans = [record.get_dagster_event() for record in planned]
    found = sorted(
        (str(plan.asset_key and plan.asset_key.path[0]), plan.partition) for plan in plans
    )
    assert found == [*(("hours", key) for key in KEYS), ("page", None)]

    options = dg.ReexecutionOptions.from_failure(run.run_id, instance)
    again = dg.execute_job(dg.reconstructable(job), instance, reexecution_options=options)
    # The step of which hours failed is tried again, and what follows it.
    assert {event.step_key for event in again.all_node_events if event.is_step_start} == {
        "hours",
        "page",
    }
    assert not again.success


def test_evaluations_are_read_in_order_after_a_row_with_what_they_said(
    instance: dg.DagsterInstance,
) -> None:
    # Without it a look at the checks would read the evaluations of all time.
    for number, key in enumerate([KEYS[0], KEYS[1], None]):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                dg.AssetKey("hours"), "holds", number == 1, {"number": number}, partition=key
            )
        )
    states = check_states(instance, None)
    assert [(s.partition, s.passed) for s in states] == [
        (KEYS[0], False),
        (KEYS[1], True),
        (None, False),
    ]
    assert {s.key.to_user_string() for s in states} == {"hours:holds"}
    assert check_states(instance, states[0].row_id, most=1) == states[1:2]
    assert check_states(instance, states[-1].row_id) == []
    said = [evaluation_of(instance, state) for state in states]
    assert [each and each.metadata["number"].value for each in said] == [0, 1, 2]


@dg.asset_check(asset="hours", name="is_right")
def is_right() -> dg.AssetCheckResult:
    """Of an asset whose newest record Dagster would look for."""
    return CheckResult(passed=True)


def looking_job() -> dg.JobDefinition:
    """What depends on hours, and a check of them."""
    selection = dg.AssetSelection.assets("page") | dg.AssetSelection.checks(is_right)
    jobs = [dg.define_asset_job("looking", selection)]
    definitions = dg.Definitions([hours, page], asset_checks=[is_right], jobs=jobs)
    return definitions.resolve_job_def("looking")


def test_a_step_reads_no_records_of_its_inputs_nor_a_check_that_of_its_asset(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = DataVersionCache.fetch_external_input_asset_version_info
    monkeypatch.setattr(DataVersionCache, "fetch_external_input_asset_version_info", own)
    leave_inputs_unread()
    instance.report_runless_asset_event(dg.AssetMaterialization("hours", partition=KEYS[0]))

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a record was read")

    for reader in ("get_asset_records", "fetch_materializations", "fetch_observations"):
        monkeypatch.setattr(instance, reader, refused)
    run = dg.execute_job(dg.reconstructable(looking_job), instance)
    assert run.success
    (found,) = run.get_asset_check_evaluations()
    assert found.passed and found.target_materialization_data is None
    assert len(run.get_asset_materialization_events()) == 1
