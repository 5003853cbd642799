"""One run of dbt through dagster-dbt, and what it told: test results and seconds per model.

Belongs here: running dbt, and its events. Does not: what it is told (dbt_command.py), when it runs
and what is recorded.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource
from dbt.constants import PARTIAL_PARSE_FILE_NAME

from kpi_platform.kpis.dbt_command import BUILD, extent

# How long the folder of a run that failed is kept, and how dagster-dbt names it.
KEPT = timedelta(days=7)
_OF_A_RUN = re.compile(r"^(?:\w+-\w{7,8}-)?[0-9a-f]{7}$")


class DbtRun:
    """Builds all models of the project in the warehouse at `warehouse` when called."""

    def __init__(
        self,
        dbt: DbtCliResource,
        manifest: Mapping[str, Any],
        translator: DagsterDbtTranslator,
        warehouse: Path,
    ) -> None:
        self.results: list[dg.AssetCheckResult] = []
        self.seconds: dict[dg.AssetKey, float] = {}
        self._dbt = dbt
        self._manifest = manifest
        self._translator = translator
        self._warehouse = warehouse

    def __call__(self, full_refresh: bool) -> None:
        """Build everything anew, or the affected periods. Raises if a model fails."""
        # dbt runs in its project's folder, where a relative path would mean another file.
        os.environ["KPI_WAREHOUSE_PATH"] = str(self._warehouse.resolve())
        how, environment = extent(full_refresh=full_refresh)
        with _environment(environment):
            invocation = self._dbt.cli(
                [*BUILD, *how], manifest=self._manifest, dagster_dbt_translator=self._translator
            )
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


def _keep_what_was_parsed(target: Path) -> None:
    """Leave it where dagster-dbt takes it from: the project was parsed there without this
    warehouse's path, and dbt would parse all of it again in every run."""
    parsed = target / PARTIAL_PARSE_FILE_NAME
    if parsed.exists():
        parsed.replace(target.parent / PARTIAL_PARSE_FILE_NAME)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let a process that is started inside have these variables, and none after it."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


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
