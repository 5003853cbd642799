"""One run of dbt through dagster-dbt, and what it told: test results and seconds per model.

Belongs here: running dbt, and its events. Does not: what it is told (dbt_command.py), when it runs
and what is recorded.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource
from dbt.constants import PARTIAL_PARSE_FILE_NAME

from kpi_platform.kpis.dbt_command import BUILD, extent
from kpi_platform.orchestration.log_json import printed_lines_logged
from kpi_platform.storage.local_servers.local_process import ending_with_us

# How long the folder of a run that failed is kept, and how dagster-dbt names it.
KEPT = timedelta(days=7)
_OF_A_RUN = re.compile(r"^(?:\w+-\w{7,8}-)?[0-9a-f]{7}$")


class DbtRun:
    """Builds all models of the project in the warehouse at `warehouse` when called.

    What dbt writes beside that is below the folder `target`.
    """

    def __init__(
        self,
        dbt: DbtCliResource,
        manifest: Mapping[str, Any],
        translator: DagsterDbtTranslator,
        warehouse: Path,
        target: Path,
    ) -> None:
        self.results: list[dg.AssetCheckResult] = []
        self.seconds: dict[dg.AssetKey, float] = {}
        self._dbt = dbt
        self._manifest = manifest
        self._translator = translator
        self._warehouse = warehouse
        self._target = target

    def __call__(self, full_refresh: bool) -> None:
        """Build everything anew, or the affected periods. Raises if a model fails."""
        how, environment = extent(full_refresh=full_refresh)
        # dbt runs in its project's folder, where a relative path would mean another file.
        with plain_path(self._warehouse.resolve()) as database:
            environment["KPI_WAREHOUSE_PATH"] = str(database)
            self._build(how, environment)

    def _build(self, how: Sequence[str], environment: dict[str, str]) -> None:
        environment["DBT_TARGET_PATH"] = str(self._target.resolve())
        with _environment(environment):
            invocation = self._dbt.cli(
                [*BUILD, *how], manifest=self._manifest, dagster_dbt_translator=self._translator
            )
        with ending_with_us(invocation.process), printed_lines_logged("dbt"):
            for event in invocation.stream():
                if isinstance(event, dg.AssetCheckEvaluation):
                    self.results.append(_result(event))
                elif isinstance(event, dg.AssetMaterialization):
                    self.seconds[event.asset_key] = _seconds(event)
        _keep_what_was_parsed(invocation.target_path)
        # The folder of a run that failed stays: it has dbt's log and the SQL as it was compiled.
        shutil.rmtree(invocation.target_path)
        clear_failed(invocation.target_path.parent, datetime.now(UTC))


def clear_failed(folder: Path, now: datetime) -> None:
    """Remove what runs that failed more than `KEPT` ago left in dbt's target folder."""
    for left in folder.iterdir():
        is_old = left.stat().st_mtime < (now - KEPT).timestamp()
        if is_old and left.is_dir() and _OF_A_RUN.match(left.name):
            # Another run may be removing it too.
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def plain_path(database: Path) -> Iterator[Path]:
    """A path by which dbt finds the database: it reads paths as addresses, which `#` and `?` end.

    Its folder is linked to, never the file: DuckDB keeps its log of changes beside what it opens.
    """
    if not re.search("[#?]", str(database.parent)):
        yield database
        return
    with TemporaryDirectory(prefix="kpi-") as folder:
        link = Path(folder, "database")
        link.symlink_to(database.parent)
        yield link / database.name


def _keep_what_was_parsed(target: Path) -> None:
    """Leave it where dagster-dbt takes it from: the project was parsed there without this
    warehouse's path, and dbt would parse all of it again in every run."""
    parsed = target / PARTIAL_PARSE_FILE_NAME
    if parsed.exists():
        parsed.replace(target.parent / PARTIAL_PARSE_FILE_NAME)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let a process that is started inside have these variables, and none after it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _result(event: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=event.asset_key,
        check_name=event.check_name,
        passed=event.passed,
        severity=event.severity,
        metadata=event.metadata,
    )


def _seconds(event: dg.AssetMaterialization) -> float:
    duration = event.metadata.get("Execution Duration")
    value = duration.value if isinstance(duration, dg.FloatMetadataValue) else None
    return round(value or 0.0, 3)
