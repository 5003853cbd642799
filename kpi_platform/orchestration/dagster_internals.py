"""What the platform uses of Dagster beyond its public interface, each thing once and with a name.

Belongs here: private names of Dagster, and facts about it that no documentation promises. Does not:
anything that needs neither. `kpi_platform_tests/orchestration/test_dagster_internals.py` holds
every one of them against the Dagster that is installed, and says what breaks without it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.partitions.subset.time_window import TimeWindowPartitionsSubset
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.instance.ref import InstanceRef
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._serdes import ConfigurableClassData
from dagster_shared.record import copy

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import (
        BaseAssetGraph,
        BaseAssetNode,
    )
    from dagster._core.snap import ExecutionPlanSnapshot

__all__ = [
    "EXECUTOR",
    "LOG_METADATA",
    "PARTITION",
    "RANGE_END",
    "RANGE_START",
    "ConfigurableClassData",
    "InstanceRef",
    "PlannedAssetByAsset",
    "TimeWindowPartitionsSubset",
    "already_recorded",
    "keys_of_run",
]

# The attribute of a log record in which Dagster notes run, job and step of the line.
LOG_METADATA = LOG_RECORD_METADATA_ATTR
PARTITION = PARTITION_NAME_TAG
RANGE_START = ASSET_PARTITION_RANGE_START_TAG
RANGE_END = ASSET_PARTITION_RANGE_END_TAG

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
