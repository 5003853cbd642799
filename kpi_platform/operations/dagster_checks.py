"""Whether Dagster's daemon lives, and whether what is turned on really ticks.

Belongs here: judging what Dagster's books say. Does not: reading them (`dagster_facts.py`).
"""

from datetime import datetime, timedelta

from kpi_platform.operations.dagster_facts import (
    DaemonState,
    NoDagsterError,
    TickState,
    daemon_states,
    open_instance,
    tick_states,
)
from kpi_platform.operations.findings import Finding

# A tick may wait for the one before it, and a daemon that starts for its code.
_GRACE = timedelta(minutes=10)
# Its workers say every half minute that they live; Dagster believes a dead one for half an hour.
_SILENT = timedelta(minutes=5)
# Without one of them no hour is run by itself.
_RUNS_HOURS = ("hourly_schedule", "telemetry_arrivals_sensor")
_START_DAEMON = "make ui, or dagster-daemon run -w workspace.yaml"


def check_dagster(now: datetime) -> list[Finding]:
    """The daemon, and every sensor and schedule that it has seen."""
    try:
        with open_instance() as instance:
            daemons, ticks = daemon_states(instance), tick_states(instance)
    except NoDagsterError as error:
        mend = "export DAGSTER_HOME=$PWD in the project's folder"
        return [Finding("dagster", "wrong", f"its books cannot be read: {error}", mend)]
    return [*judge_daemons(daemons, now), *judge_ticks(ticks, now)]


def judge_daemons(daemons: list[DaemonState], now: datetime) -> list[Finding]:
    """The daemon as a whole, and those of its workers that are behind."""
    seen = max((each.seen_at for each in daemons if each.seen_at), default=None)
    is_heard = seen is not None and now - seen <= _SILENT
    if not is_heard or not any(each.is_healthy for each in daemons):
        when = f"since {seen:%Y-%m-%d %H:%M} UTC" if seen else "and never has"
        said = f"the daemon does not run, {when}: no schedule, sensor or queue goes on"
        return [Finding("dagster", "wrong", said, _START_DAEMON)]
    behind = [each.name for each in daemons if not each.is_healthy]
    if behind:
        said = f"of the daemon these do not answer: {', '.join(behind)}"
        return [Finding("dagster", "wrong", said, f"restart it: {_START_DAEMON}")]
    return [Finding("dagster", "well", "the daemon runs")]


def judge_ticks(ticks: list[TickState], now: datetime) -> list[Finding]:
    """What is on: ticked in time, and without an error; and whether anything runs hours at all."""
    findings = [finding for tick in ticks if tick.is_on for finding in [_judged(tick, now)]]
    if not any(tick.is_on and tick.name in _RUNS_HOURS for tick in ticks):
        said = "neither hourly_schedule nor telemetry_arrivals_sensor is on: no hour runs by itself"
        mend = "dagster schedule start hourly_schedule; dagster sensor start " + _RUNS_HOURS[1]
        findings.append(Finding("ticks", "note", said, mend))
    return findings


def _judged(tick: TickState, now: datetime) -> Finding:
    named = f"{tick.kind} {tick.name}"
    if tick.error:
        mend = "the tick in Dagster's UI (Automation) has the whole error"
        return Finding("ticks", "wrong", f"{named} failed: {tick.error}", mend)
    since = max((at for at in (tick.ticked_at, tick.on_since) if at), default=None)
    if since is None:
        # On from the start, and never due yet.
        return Finding("ticks", "note", f"{named} is on and has not ticked yet")
    if now - since > tick.every + _GRACE:
        said = f"{named} has not ticked since {since:%Y-%m-%d %H:%M} UTC"
        return Finding("ticks", "wrong", said, _START_DAEMON)
    return Finding("ticks", "well", f"{named} ticks")
