"""What the platform uses of Dagster beyond its public interface, each thing once and with a name.

Belongs here: private names of Dagster, and facts about it that no documentation promises. Does not:
anything that needs neither. `kpi_platform_tests/orchestration/test_dagster_internals.py` holds
every one of them against the Dagster that is installed, and says what breaks without it.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.partitions.subset.time_window import TimeWindowPartitionsSubset
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import BulkActionStatus as BackfillStatus
from dagster._core.execution.context.data_version_cache import DataVersionCache
from dagster._core.instance.config import retention_config_schema
from dagster._core.instance.ref import InstanceRef
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickStatus
from dagster._core.storage.dagster_run import RunsFilter
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from dagster._serdes import ConfigurableClassData, deserialize_value
from dagster_shared.record import copy
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import (
        BaseAssetGraph,
        BaseAssetNode,
    )
    from dagster._core.snap import ExecutionPlanSnapshot

__all__ = [
    "ASSET_EVENT_TAGS",
    "CHECK_EXECUTIONS",
    "EVENT_LOGS",
    "EXECUTOR",
    "LOG_METADATA",
    "PARTITION",
    "RANGE_END",
    "RANGE_START",
    "WILL_RETRY",
    "AssetGraph",
    "BackfillStatus",
    "CheckResult",
    "CheckState",
    "ConfigurableClassData",
    "DataVersionCache",
    "InstanceRef",
    "InstigatorState",
    "InstigatorStatus",
    "LocalComputeLogManager",
    "PlannedAssetByAsset",
    "RunsFilter",
    "SqlEventLogStorage",
    "SqliteEventLogStorage",
    "TickStatus",
    "TimeWindowPartitionsSubset",
    "already_recorded",
    "check_states",
    "evaluation_of",
    "keys_of_run",
    "leave_inputs_unread",
    "retention_schema",
]

# The attribute of a log record in which Dagster notes run, job and step of the line.
LOG_METADATA = LOG_RECORD_METADATA_ATTR
PARTITION = PARTITION_NAME_TAG
RANGE_START = ASSET_PARTITION_RANGE_START_TAG
RANGE_END = ASSET_PARTITION_RANGE_END_TAG
# Dagster marks a failed run that it is going to run again.
WILL_RETRY = WILL_RETRY_TAG

# Events of assets and checks of all runs (with PostgreSQL, all events), the newest state of checks,
# and what assets' events are tagged with.
EVENT_LOGS = SqlEventLogStorageTable
CHECK_EXECUTIONS = AssetCheckExecutionsTable
ASSET_EVENT_TAGS = AssetEventTagsTable

# Runs the steps of a run in one process. A step goes on as soon as the steps before it have given
# their outputs, whether or not they then fail: so a step of which an hour failed is red by itself,
# which is what Dagster's own retry retries, and the other hours pass all the same.
EXECUTOR = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}, name="in_process"
)


def already_recorded(
    name: str, metadata: Mapping[str, int | float] = MappingProxyType({})
) -> dg.Output[None]:
    """The output of a step whose materialisations are recorded hour by hour.

    Dagster records nothing for an output that claims to be an observation; without the mark it
    would mark every hour of the run as materialised, failed ones included. The metadata stands in
    the run's log, with the step's output.
    """
    mark = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
    return dg.Output(None, output_name=name, metadata={**metadata, **mark})


class CheckResult(dg.AssetCheckResult):
    """What a check found, of what its asset holds now.

    For each of its own results Dagster looks up the newest materialisation, to note it with the
    evaluation: a read of its database a check, before which all events that wait are written. Where
    none is noted the UI goes by run and time, and says the same.
    """

    def _get_target_materialization_data(self, *_: object) -> None:
        return None


def leave_inputs_unread() -> None:
    """Have steps begin at once, in this process, instead of reading the records of all inputs.

    Dagster notes versions of inputs with what a step makes, and for an asset without partitions
    lists every hour that there ever was. What records itself (`already_recorded`) has no use for
    them; marks of staleness, which are made of them, are shown for none of our assets.
    """

    def unread(_: DataVersionCache) -> None:
        """Note nothing."""

    DataVersionCache.fetch_external_input_asset_version_info = unread  # type: ignore[assignment, method-assign]


def keys_of_run(run: dg.DagsterRun, partitions: dg.PartitionsDefinition[str]) -> list[str]:
    """The partition keys that a run was asked for, in order; none if it was asked for none.

    Unpartitioned assets have no partitions in their context, whatever their run was asked for.
    """
    if PARTITION in run.tags:
        return [run.tags[PARTITION]]
    if RANGE_START in run.tags:
        ends = dg.PartitionKeyRange(run.tags[RANGE_START], run.tags[RANGE_END])
        return list(partitions.get_partition_keys_in_range(ends))
    return []


def retention_schema() -> dg.Field:
    """The section `retention` of `dagster.yaml`, with the days after which events are purged, under
    the name that Dagster's open proposal gives them."""
    fields = dict(retention_config_schema().config_type.fields)  # type: ignore[attr-defined]
    events = dg.Field({"purge_after_days": dg.Field(int)}, is_required=False)
    return dg.Field({**fields, "event_logs": events}, is_required=False)


class PlannedAssetByAsset(RunDomain):
    """Creates runs that plan, for each asset, the partitions that this asset has.

    A run keeps the hours that it was asked for, and Dagster takes them for the plan of every asset
    of the run: an unpartitioned model would be planned, and recorded as planned, once an hour.
    Without them it looks at the run's tags, asset by asset.
    """

    def _log_asset_planned_events(
        self,
        dagster_run: dg.DagsterRun,
        execution_plan_snapshot: "ExecutionPlanSnapshot",
        asset_graph: "BaseAssetGraph[BaseAssetNode]",
    ) -> None:
        plain = copy(dagster_run, partitions_subset=None)
        super()._log_asset_planned_events(plain, execution_plan_snapshot, asset_graph)


@dataclass(frozen=True)
class CheckState:
    """An evaluation of a check, or the plan of one; `row_id` grows with each plan.

    `partition`: None of the run as a whole. `passed`: None while it is only planned. `at`: when it
    was evaluated (UTC), which need not be in the order of the plans; until then, when planned.
    """

    row_id: int
    key: dg.AssetCheckKey
    partition: str | None
    passed: bool | None
    run_id: str
    at: datetime


def _evaluations(instance: dg.DagsterInstance) -> AbstractContextManager[Connection]:
    """A connection to where Dagster keeps evaluations: SQLite's index, or PostgreSQL."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)  # noqa: S101 (both are)
    return storage.index_connection()


def check_states(
    instance: dg.DagsterInstance, after: int | None, most: int = 100_000
) -> list[CheckState]:
    """The evaluations and plans after the row `after` (None: as many as `most` of the newest), in
    order, at most `most`.

    Dagster gives out the newest of each partition, for which it reads the evaluations of all time.
    """
    row_id = AssetCheckExecutionsTable.c.id
    with _evaluations(instance) as connection:
        if after is None:
            newest = connection.execute(select(func.max(row_id))).scalar() or 0
            after = max(newest - most, 0)
        rows = connection.execute(
            select(*_STATE).where(row_id > after).order_by(row_id).limit(most)
        ).fetchall()
    return [_state(row) for row in rows]


def evaluated_since(instance: dg.DagsterInstance, check: str, at: datetime) -> list[CheckState]:
    """The evaluations of a check of this name that are newer than `at`."""
    table = AssetCheckExecutionsTable.c
    with _evaluations(instance) as connection:
        rows = connection.execute(
            select(*_STATE)
            .where(table.check_name == check)
            .where(table.evaluation_event_timestamp > at.astimezone(UTC).replace(tzinfo=None))
        ).fetchall()
    return [state for row in rows if (state := _state(row)).passed is not None]


# In the order in which `_state` takes them.
_STATE = (
    AssetCheckExecutionsTable.c.id,
    AssetCheckExecutionsTable.c.asset_key,
    AssetCheckExecutionsTable.c.check_name,
    AssetCheckExecutionsTable.c.partition,
    AssetCheckExecutionsTable.c.execution_status,
    AssetCheckExecutionsTable.c.run_id,
    AssetCheckExecutionsTable.c.evaluation_event_timestamp,
)
_PASSED = {"SUCCEEDED": True, "FAILED": False}


def _state(row: Sequence[Any]) -> CheckState:
    row_id, asset, name, partition, status, run_id, at = row
    key = dg.AssetCheckKey(dg.AssetKey.from_db_string(asset) or dg.AssetKey(asset), name)
    passed = _PASSED.get(status)
    return CheckState(row_id, key, partition, passed, run_id, at.replace(tzinfo=UTC))


def evaluation_of(
    instance: dg.DagsterInstance, state: CheckState
) -> dg.AssetCheckEvaluation | None:
    """What a check said in an evaluation; None if it is there no more."""
    table = AssetCheckExecutionsTable.c
    with _evaluations(instance) as connection:
        text = connection.execute(
            select(table.evaluation_event).where(table.id == state.row_id)
        ).scalar()
    entry = deserialize_value(text, EventLogEntry) if text else None
    event = entry.dagster_event if entry else None
    return None if event is None else event.asset_check_evaluation_data
