"""What Dagster's own books say: runs, queue, backfills, and what ticks.

Belongs here: reading them, as plain values. Does not: judging them (`dagster_checks.py`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance

from kpi_platform.orchestration import dagster_state
from kpi_platform.schemas.hours.hour_ranges import named_range

_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
_AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
_BACKFILLS_LOOKED_AT = 50
_UNFINISHED = ("REQUESTED", "CANCELING", "FAILING")


class NoDagsterError(Exception):
    """Dagster's books cannot be read; the message says why, in one line."""


@dataclass(frozen=True)
class RunState:
    """A run; `seconds` until now while it is at work, None if it never began."""

    run_id: str
    job: str
    status: str
    started_at: datetime | None
    seconds: float | None
    hours: str
    failed_hours: str


@dataclass(frozen=True)
class RunStates:
    """The newest runs, the newest first, and how much waits."""

    newest: list[RunState]
    queued: int
    at_work: int
    backfills: int


@dataclass(frozen=True)
class TickState:
    """A sensor or schedule: whether it is on, when it ticked last, and how often it should.

    `on_since`: when somebody turned it on, None if it is on from the start.
    """

    name: str
    kind: str
    is_on: bool
    on_since: datetime | None
    ticked_at: datetime | None
    every: timedelta
    error: str


@dataclass(frozen=True)
class DaemonState:
    """One of the daemon's workers, and when it last said that it lives."""

    name: str
    is_healthy: bool
    seen_at: datetime | None


def open_instance() -> DagsterInstance:
    """Dagster's instance as it is set up, a context manager. Raises NoDagsterError."""
    try:
        return dagster_state.open_instance()
    except Exception as error:  # noqa: BLE001 - storage and settings raise what they like
        raise NoDagsterError((str(error).splitlines() or [type(error).__name__])[0]) from None


def run_states(instance: DagsterInstance, now: datetime, limit: int) -> RunStates:
    """The newest runs and the queue."""
    return RunStates(
        [_run(record, now) for record in instance.get_run_records(limit=limit)],
        instance.get_runs_count(dg.RunsFilter(statuses=_WAITING)),
        instance.get_runs_count(dg.RunsFilter(statuses=_AT_WORK)),
        sum(
            backfill.status.value in _UNFINISHED
            for backfill in instance.get_backfills(limit=_BACKFILLS_LOOKED_AT)
        ),
    )


def _run(record: dg.RunRecord, now: datetime) -> RunState:
    run, started = record.dagster_run, _at(record.start_time)
    end = _at(record.end_time) or now
    tags = run.tags
    first = tags.get("dagster/asset_partition_range_start", tags.get("dagster/partition", ""))
    last = tags.get("dagster/asset_partition_range_end", first)
    return RunState(
        run.run_id,
        "hours" if run.job_name.startswith("__ASSET_JOB") else run.job_name,
        run.status.value,
        started,
        None if started is None else round((end - started).total_seconds(), 1),
        named_range(first, last),
        tags.get("kpi/failed_hours", ""),
    )


def tick_states(instance: DagsterInstance) -> list[TickState]:
    """Every sensor and schedule that the daemon has seen, by name."""
    states = []
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        data = state.instigator_data
        cron = getattr(data, "cron_schedule", None)
        on_since = getattr(data, "start_timestamp", None)
        error = ticks[0].tick_data.error if ticks else None
        states.append(
            TickState(
                state.instigator_name,
                "sensor" if cron is None else "schedule",
                state.is_running,
                _at(on_since or getattr(data, "last_sensor_start_timestamp", None)),
                _at(ticks[0].timestamp) if ticks else None,
                _interval(cron, getattr(data, "min_interval", None)),
                "" if error is None else error.message.strip().split("\n")[0],
            )
        )
    return sorted(states, key=lambda state: state.name)


def daemon_states(instance: DagsterInstance) -> list[DaemonState]:
    """The workers of the daemon that this instance needs, by name."""
    return [
        DaemonState(
            name,
            bool(status.healthy),
            _at(status.last_heartbeat.timestamp) if status.last_heartbeat else None,
        )
        for name, status in sorted(instance.get_daemon_statuses().items())
        if status.required
    ]


def _interval(cron: str | list[str] | None, seconds: int | None) -> timedelta:
    """How long there may be between two ticks: of our schedules each is by the hour or the day."""
    if cron is None:
        return timedelta(seconds=seconds or 30)
    fields = (cron if isinstance(cron, str) else cron[0]).split()
    if fields[1] == "*":
        return timedelta(hours=1)
    return timedelta(days=1) if fields[2:] == ["*", "*", "*"] else timedelta(days=31)


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
