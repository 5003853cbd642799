"""Which sensors and schedules fail or stand still, and which backfills hang.

Belongs here: reading Dagster's ticks, the daemon's signs of life, and backfills. Does not: what a
tick does.

A sensor that nobody turned on is not looked at. One failed tick is nothing: the next one tries
again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus

from kpi_platform.alerts.incidents import Look
from kpi_platform.orchestration.dagster_internals import (
    BackfillStatus,
    InstigatorState,
    InstigatorStatus,
    TickStatus,
)
from kpi_platform.schemas.findings import Finding
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets

_TICKS = 3
# The slowest schedule of the platform ticks once a day.
_SENSOR_STANDS_STILL = timedelta(minutes=30)
_DAEMON_IS_GONE = timedelta(minutes=10)
_BACKFILL_HANGS = timedelta(hours=6)
_LONGEST = 400


def look_at_ticks(instance: dg.DagsterInstance, at: datetime) -> Look:
    """The sensors and schedules that are on and whose last ticks failed, or that do not tick."""
    states = [
        state
        for state in instance.all_instigator_state()
        if state.status in (InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE)
    ]
    if states and (gone := _daemon_is_gone(instance, at)):
        return Look((gone,), "sensor_failed")
    findings = [finding for state in states if (finding := _of(instance, state, at))]
    return Look(tuple(findings), "sensor_failed")


def look_at_backfills(instance: dg.DagsterInstance, at: datetime) -> Look:
    """The backfills that are asked for and of which nothing has run for hours."""
    hanging = []
    for backfill in instance.get_backfills(status=BackfillStatus.REQUESTED):
        runs = instance.get_run_records(
            dg.RunsFilter(tags={"dagster/backfill": backfill.backfill_id}), limit=1
        )
        last = max([backfill.backfill_timestamp, *(r.update_timestamp.timestamp() for r in runs)])
        is_under_way = any(r.dagster_run.status == DagsterRunStatus.STARTED for r in runs)
        if not is_under_way and at.timestamp() - last > _BACKFILL_HANGS.total_seconds():
            since = datetime.fromtimestamp(last, UTC)
            cause = (
                f"The backfill {backfill.backfill_id} is not done, and nothing of it has run since "
                f"{since:%Y-%m-%d %H:%M} UTC."
            )
            hanging.append(Finding("backfill_hangs", backfill.backfill_id, cause))
    return Look(tuple(hanging), "backfill_hangs")


def _daemon_is_gone(instance: dg.DagsterInstance, at: datetime) -> Finding | None:
    beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    newest = max(beats, default=None)
    if newest is not None and at.timestamp() - newest <= _DAEMON_IS_GONE.total_seconds():
        return None
    since = f"since {datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M} UTC" if newest else "yet"
    cause = f"Sensors and schedules are on, but Dagster's daemon has not been seen {since}."
    return Finding("sensor_failed", "daemon", cause, severity="error", mend="dagster-daemon run")


def _of(instance: dg.DagsterInstance, state: InstigatorState, at: datetime) -> Finding | None:
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_TICKS)
    name = state.instigator_name
    failed = _failed_ticks(ticks)
    if failed:
        cause = f"{name} has failed {len(failed)} times in a row: {failed[0]}"
        return Finding("sensor_failed", name, cause, severity="error")
    is_sensor = state.instigator_type.value == "SENSOR"
    if is_sensor and ticks and at.timestamp() - ticks[0].timestamp > _limit(state).total_seconds():
        since = datetime.fromtimestamp(ticks[0].timestamp, UTC)
        cause = f"{name} is on and has not ticked since {since:%Y-%m-%d %H:%M} UTC."
        return Finding("sensor_failed", name, cause, severity="error")
    return None


def _failed_ticks(ticks: Iterable[object]) -> list[str]:
    """What the newest ticks said, if every one of them failed and there are several."""
    said = []
    for tick in ticks:
        status = getattr(tick, "status", None)
        if status == TickStatus.STARTED:
            continue
        if status != TickStatus.FAILURE:
            return []
        error = getattr(tick, "error", None)
        text = " ".join(str(getattr(error, "message", "") or "no reason given").split())
        said.append(hide_secrets(text)[:_LONGEST])
    return said if len(said) > 1 else []


def _limit(state: InstigatorState) -> timedelta:
    interval = getattr(state.instigator_data, "min_interval", None) or 30
    return max(_SENSOR_STANDS_STILL, timedelta(seconds=10 * interval))
