"""Captured output of runs that Dagster no longer knows.

Belongs here: finding it where it lies in folders, and removing it. Does not: logs of runs that are
known (event_pruning.py), nor output in a bucket, which the bucket's own lifecycle ends.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from dagster import DagsterInstance, RunsFilter

from kpi_platform.orchestration.dagster_internals import LocalComputeLogManager

# A statement names so many runs.
_AT_A_TIME = 500


def remove_left_logs(instance: DagsterInstance, before: datetime) -> int:
    """Remove what runs wrote that were deleted since, as the UI does: their output stays behind.

    Only folders that nothing was written to since `before` (UTC): a run may be about to be known.
    Returns how many went.
    """
    manager = instance.compute_log_manager
    if not isinstance(manager, LocalComputeLogManager):
        return 0
    folder = Path(manager.get_captured_local_path(["run"], "out")).parent
    left = [name for some in _parts(_old_runs(folder, before)) for name in _unknown(instance, some)]
    for run_id in left:
        manager.delete_logs(prefix=[run_id])
    return len(left)


def _old_runs(folder: Path, before: datetime) -> list[str]:
    """The folders that are named as runs are; those of sensors and schedules are not."""
    if not folder.is_dir():
        return []
    return sorted(
        each.name
        for each in folder.iterdir()
        if _is_run(each.name) and each.is_dir() and _written_at(each) < before.timestamp()
    )


def _is_run(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _written_at(folder: Path) -> float:
    return max(each.stat().st_mtime for each in (folder, *folder.rglob("*")))


def _unknown(instance: DagsterInstance, run_ids: Sequence[str]) -> list[str]:
    records = instance.get_run_records(RunsFilter(run_ids=list(run_ids)))
    known_ids = {record.dagster_run.run_id for record in records}
    return [run_id for run_id in run_ids if run_id not in known_ids]


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_A_TIME):
        yield values[start : start + _AT_A_TIME]
