"""What deleted runs wrote goes with maintenance, and nothing else does."""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from kpi_platform.orchestration.left_logs import remove_left_logs

OLD = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = datetime(2026, 2, 1, tzinfo=UTC)


@dg.op
def said() -> None:
    """Anything."""


@dg.job
def job() -> None:
    """A run of it."""
    said()


def test_only_output_of_runs_that_are_gone_goes(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        known, deleted, young = (job.execute_in_process(instance=instance).run_id for _ in range(3))
        manager = instance.compute_log_manager
        folder = Path(manager.get_captured_local_path(["run"], "out")).parent  # type: ignore[attr-defined]
        others = ("a sensor", "3f1a", deleted.upper())
        for name in (known, deleted, young, *others):
            kept = folder / name / "compute_logs"
            kept.mkdir(parents=True, exist_ok=True)
            (kept / "step.out").write_text("said")
        for name in (known, deleted, *others):
            for path in (folder / name, *(folder / name).rglob("*")):
                os.utime(path, (OLD.timestamp(), OLD.timestamp()))
        instance.delete_run(deleted)
        instance.delete_run(young)
        assert remove_left_logs(instance, BEFORE) == 1
        assert {path.name for path in folder.iterdir()} == {known, young, *others}
        assert remove_left_logs(instance, BEFORE) == 0


def test_without_output_in_folders_there_is_nothing_to_do() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert remove_left_logs(instance, BEFORE) == 0
