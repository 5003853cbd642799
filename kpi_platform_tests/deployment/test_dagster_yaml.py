"""dagster.yaml and workspace.yaml on one machine: where state goes, and that the settings hold."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.scheduler.instigation import TickStatus

from kpi_platform_tests.deployment.compose import PROJECT_ROOT
from kpi_platform_tests.deployment.tiny_definitions import SAID, tiny


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that is not the project's, with no setting made."""
    # Set first, so that what a test reads from its .env is taken back afterwards too.
    monkeypatch.setenv("KPI_HOME", "")
    for name in [name for name in os.environ if name.startswith(("KPI_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def instance(elsewhere: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(PROJECT_ROOT)) as opened:
        yield opened


@pytest.mark.parametrize("home", [None, "state", "/absolute"])
def test_all_state_lies_below_home(
    home: str | None, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home == "/absolute":
        home = str(elsewhere / "absolute")
    if home is not None:
        monkeypatch.setenv("KPI_HOME", home)
    with dg.DagsterInstance.from_config(str(PROJECT_ROOT)) as instance:
        result = dg.materialize([tiny], instance=instance)
    state = elsewhere / (home or ".kpi") / "dagster"
    for name in ("history", "schedules", "storage"):
        assert not (PROJECT_ROOT / name).exists(), "Dagster's own default place"
    assert [
        path for path in elsewhere.rglob("*") if path.is_file() and state not in path.parents
    ] == []
    assert (state / "history" / "runs.db").exists()
    logs = [path.read_text() for path in (state / "storage" / result.run_id).rglob("*.out")]
    assert any(SAID in text for text in logs)


def test_a_home_set_in_the_file_of_settings_counts(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / ".env").write_text("KPI_HOME=from-dotenv\n")
    monkeypatch.setenv("KPI_ENV_FILE", str(elsewhere / ".env"))
    with dg.DagsterInstance.from_config(str(PROJECT_ROOT)) as instance:
        assert instance.root_directory == str(elsewhere / "from-dotenv" / "dagster")


def test_a_run_worker_elsewhere_opens_the_same_state(
    instance: dg.DagsterInstance, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = dg.materialize([tiny], instance=instance).run_id
    reference = instance.get_ref()
    (elsewhere / "worker").mkdir()
    monkeypatch.chdir(elsewhere / "worker")
    with dg.DagsterInstance.from_ref(reference) as worker:
        assert worker.get_run_by_id(run_id) is not None


def test_the_command_line_needs_no_setting_but_dagster_home(elsewhere: Path) -> None:
    environment = {"DAGSTER_HOME": str(PROJECT_ROOT), "PYTHONPATH": str(PROJECT_ROOT)}
    module = "kpi_platform_tests.deployment.tiny_definitions"
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "tiny", "-m", module],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with dg.DagsterInstance.from_config(str(PROJECT_ROOT)) as instance:
        (run,) = instance.get_runs()
    assert run.is_success


def test_nothing_is_reported_to_anyone(instance: dg.DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_runs_are_queued_watched_and_retried_only_after_crashes(
    instance: dg.DagsterInstance,
) -> None:
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 2
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 2
    assert not instance.run_retries_retry_on_asset_or_op_failure


def test_no_sensor_waits_for_another_that_plans_a_month(instance: dg.DagsterInstance) -> None:
    assert instance.get_settings("sensors")["use_threads"]
    assert instance.get_settings("sensors")["num_workers"] >= 4


@pytest.mark.parametrize("kind", list(InstigatorType))
def test_no_tick_is_kept_for_ever(instance: dg.DagsterInstance, kind: InstigatorType) -> None:
    days = instance.get_tick_retention_settings(kind)
    assert set(days) == set(TickStatus)
    assert all(1 <= kept <= 90 for kept in days.values())
    assert days[TickStatus.FAILURE] == 90


def test_the_workspace_loads_from_any_folder(elsewhere: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "definitions", "validate"),
            *("-w", str(PROJECT_ROOT / "workspace.yaml")),
        ],
        cwd=elsewhere,
        env={"DAGSTER_HOME": str(PROJECT_ROOT), "PYTHONPATH": str(PROJECT_ROOT), **_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "kpi_platform" in done.stderr + done.stdout


def _path() -> dict[str, str]:
    return {"PATH": str(Path(sys.executable).parent) + os.pathsep + os.defpath}
