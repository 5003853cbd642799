"""The sensor that finds and tells incidents, every minute.

Belongs here: when a round is made, and what of the definitions it needs. Does not: the round.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DefaultSensorStatus

from kpi_platform.alerts.alert_pass import Places
from kpi_platform.alerts.alert_round import alert_round
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.settings import load_settings

if TYPE_CHECKING:
    from kpi_platform.orchestration.dagster_internals import AssetGraph

# Whoever says who is to be told wants them to be told.
_STATUS = DefaultSensorStatus.RUNNING if load_settings().alerts else DefaultSensorStatus.STOPPED


@dg.sensor(
    name="incidents_sensor",
    minimum_interval_seconds=60,
    default_status=_STATUS,
    description="Finds incidents and tells them as the policies of KPI_ALERTS say; `kpi alerts "
    "run` does the same. On by default as soon as KPI_ALERTS is set.",
)
def incidents_sensor(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> dg.SkipReason:
    """One round; nothing is requested."""
    assert context.repository_def is not None  # noqa: S101 (Dagster gives it to every tick)
    graph = context.repository_def.asset_graph
    done = alert_round(places_of(platform.platform, context.instance, graph), datetime.now(UTC))
    return dg.SkipReason("; ".join(done.lines()))


def places_of(parts: Platform, instance: dg.DagsterInstance, graph: "AssetGraph") -> Places:
    """What a round looks at, of definitions with this graph of assets."""
    checks = {key: graph.get(key).description or "" for key in graph.asset_check_keys}
    keys = graph.get_all_asset_keys()
    groups = {key.path[-1]: graph.get(key).group_name or "" for key in keys}
    return Places(parts, instance, checks, groups)
