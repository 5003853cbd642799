"""Which runs failed and were not made good, and which are not over.

Belongs here: reading Dagster's runs. Does not: failed hours, which the books tell
(`found_in_hours.py`), and failed checks.

A run that is red only because hours failed, or a check that blocks, is told by these: one cause is
one incident.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import RunRecord

from kpi_platform.alerts.incidents import Look
from kpi_platform.orchestration.dagster_internals import WILL_RETRY, keys_of_run
from kpi_platform.orchestration.partitions import HOURLY, hour_of
from kpi_platform.orchestration.resources import EVERYTHING
from kpi_platform.schemas.findings import Finding
from kpi_platform.schemas.hours.hour_ranges import ranges_of
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets

_KIND = "run_failed"
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
# What a step says that is red because of hours or a check, which are incidents of their own.
_TOLD_ELSEWHERE = re.compile(r"\d+ hours failed and were left out|AssetCheckFailed|blocking check")
_MOST_RUNS = 1000
_LONGEST = 500
_FIRST_LOOK = timedelta(days=7)


@dataclass(frozen=True)
class RunLooks:
    """The looks of the runs; `mark`: the time up to which runs were read; `unfinished`: ids of
    those that are not over or will be tried again; `hours`: what these work on."""

    looks: tuple[Look, ...]
    mark: datetime | None
    unfinished: frozenset[str]
    hours: frozenset[datetime]


def look_at_runs(instance: dg.DagsterInstance, mark: datetime | None) -> RunLooks:
    """Runs that ended since `mark` (None: the newest there are), in the order of their ends."""
    under_way = instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY), limit=_MOST_RUNS)
    # What ended within the same second as the newest of the last look is read twice: no matter.
    since = mark - timedelta(seconds=1) if mark else None
    which = dg.RunsFilter(statuses=_OVER, updated_after=since)
    records = instance.get_run_records(which, limit=_MOST_RUNS, order_by="update_timestamp")
    newest = max((_updated(record) for record in records), default=None)
    if mark is None and newest is not None:
        records = [r for r in records if newest - _updated(r) <= _FIRST_LOOK]
    retried = [r.dagster_run for r in records if _will_be_tried_again(instance, r.dagster_run)]
    waiting = [*under_way, *retried]
    ids = frozenset(run.run_id for run in waiting)
    over = sorted((r for r in records if r.dagster_run.run_id not in ids), key=_updated)
    return RunLooks(
        tuple(_look(instance, record.dagster_run) for record in over),
        min([newest, *(_updated(r) for r in records if r.dagster_run.run_id in ids)])
        if newest
        else mark,
        ids,
        frozenset(_hours(waiting)),
    )


def _will_be_tried_again(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether Dagster is going to run it again and has not begun to."""
    if run.tags.get(WILL_RETRY) != "true":
        return False
    return not instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id}), limit=1)


def _look(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Look:
    hours = sorted(_hours([run]))
    # A run of everything makes good whatever failed of its hours, whichever job it was.
    job = None if run.job_name == EVERYTHING and hours else run.job_name
    findings: tuple[Finding, ...] = ()
    if run.status == dg.DagsterRunStatus.FAILURE and run.tags.get(WILL_RETRY) != "true":
        job = run.job_name
        causes = _causes(instance, run)
        if causes:
            cause = f"The run {run.run_id} of {run.job_name} failed. {causes}"
            findings = (Finding(_KIND, run.job_name, cause, hours=tuple(hours)),)
    return Look(findings, _KIND, job, None, tuple(ranges_of(hours)) if hours else None)


def _causes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What its steps said that is told nowhere else; of a run without such a step what Dagster
    says; nothing if all is told elsewhere."""
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    said = []
    for entry in failures:
        event = entry.get_dagster_event()
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        text = f"{error.cls_name or ''}: {error.message}" if error else event.message or ""
        if not _TOLD_ELSEWHERE.search(text):
            said.append(f"{event.step_key}: {_line(text)}")
    if said or failures:
        return " ".join(said[:3])
    ended = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return _line(ended[-1].message if ended else "Dagster does not say why.")


def _line(text: str) -> str:
    return hide_secrets(" ".join(text.split()))[:_LONGEST]


def _hours(runs: Iterable[dg.DagsterRun] | Sequence[dg.DagsterRun]) -> set[datetime]:
    found = set()
    for run in runs:
        try:
            found |= {hour_of(key) for key in keys_of_run(run, HOURLY)}
        except (ValueError, dg.DagsterError):
            # The hours of another platform, or of an earlier first partition.
            continue
    return found


def _updated(record: RunRecord) -> datetime:
    at = record.update_timestamp
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
