"""A whole platform in a temporary folder: its landing, lake and Dagster, run as users run it.

Belongs here: writing files, starting Dagster's own commands, reading what they recorded. Does
not: what should come out.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg

from kpi_platform.storage.lake.lake import Lake

ROOT = Path(__file__).parents[2]
KEY = "%Y-%m-%d-%H:%M"
TABLES = (
    "raw_telemetry",
    "cleaned_events",
    "quarantined_events",
    "hour_ledger",
    "sessions",
    "user_version_history",
    "user_version_intervals",
)
HOURLY = " or ".join(f"key:{table}" for table in TABLES)
PLAYERS = 5
SOURCES = """
studios:
  - key: north
    games:
      - key: rails
        sources: [{key: rails, telemetry: rails}]
"""


@dataclass(frozen=True)
class Home:
    """A platform below `folder`, its first partition `start`."""

    folder: Path
    start: datetime
    settings: Mapping[str, str]

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own settings but where programs are."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "KPI_HOME": str(self.folder),
            "KPI_SOURCES": str(self.folder / "sources.yaml"),
            "KPI_START_HOUR": self.start.strftime(KEY),
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "DAGSTER_MODULE_NAME": "kpi_platform.definitions",
            "PYTHONPATH": str(ROOT),
            **self.settings,
        }

    def landing_file(self, hour: datetime, name: str = "part-0.tsv") -> Path:
        return self.folder / "landing" / "rails" / f"{hour:%Y/%m/%d/%H}" / name

    def put(self, hour: datetime, name: str = "part-0.tsv", copies: int = 1) -> None:
        """A file of five players' sightings (`copies` times as many sessions), one line broken."""
        path = self.landing_file(hour, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"Telemetry\t{hour:%Y-%m-%dT%H:%M}:{number % 60:02d}.000+0000\tClientApp\t"
            f"{name}-{hour:%d%H}-{number}\t{number}\t"
            f"{{'Name': 'SoftwareVersion', 'Version': 1.{hour.hour}, 'Device': 'deck', "
            f"'PlayerId': 'p{number % PLAYERS}'}}"
            for number in range(PLAYERS * copies)
        ]
        path.write_text("\n".join([*lines, "broken"]) + "\n")

    def command(self, select: str, first: datetime, last: datetime) -> list[str]:
        hours = f"{first.strftime(KEY)}...{last.strftime(KEY)}"
        options = ["--select", select, "--partition-range", hours]
        return [program("dagster"), "asset", "materialize", *options]

    def materialize(
        self, select: str, first: datetime, last: datetime
    ) -> "subprocess.CompletedProcess[str]":
        """What a user types; the output of both streams is in `stdout`."""
        return subprocess.run(
            self.command(select, first, last),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance that the commands use."""
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            dg.DagsterInstance.from_config(self.environment["DAGSTER_HOME"]) as instance,
        ):
            yield instance


def new_home(folder: Path, start: datetime, **settings: str) -> Home:
    """An empty platform with the settings of `dagster.yaml` that users have."""
    (folder / "landing").mkdir(parents=True)
    (folder / "dagster_home").mkdir()
    (folder / "dagster_home" / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    (folder / "sources.yaml").write_text(SOURCES)
    return Home(folder, start, settings)


def program(name: str) -> str:
    """A program of the environment that the tests run in."""
    return str(Path(sys.executable).parent / name)


def keys(hours: Sequence[datetime]) -> set[str]:
    return {hour.strftime(KEY) for hour in hours}


def materialised(instance: dg.DagsterInstance, table: str) -> set[str]:
    """The partitions that Dagster has recorded as materialised."""
    return set(instance.get_materialized_partitions(dg.AssetKey(table)))


def latest_metadata(instance: dg.DagsterInstance, table: str) -> dict[str, dict[str, Any]]:
    """Partition -> metadata of its latest materialisation."""
    newest_first = instance.fetch_materializations(dg.AssetKey(table), limit=1000).records
    found: dict[str, dict[str, Any]] = {}
    for record in newest_first:
        event = record.asset_materialization
        if event is not None and event.partition is not None:
            values = {name: value.value for name, value in event.metadata.items()}
            found.setdefault(event.partition, values)
    return found


def evaluations(instance: dg.DagsterInstance, table: str, check: str) -> dict[str, bool]:
    """Partition -> whether the check's latest evaluation for it passed."""
    key = dg.AssetCheckKey(dg.AssetKey(table), check)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
    found: dict[str, bool] = {}
    for record in history:
        if record.partition is not None:
            found.setdefault(record.partition, record.status.value == "SUCCEEDED")
    return found


def latest_text(instance: dg.DagsterInstance, table: str, check: str) -> tuple[bool, str]:
    """Whether the check's latest evaluation passed, and all of its metadata as one text."""
    key = dg.AssetCheckKey(dg.AssetKey(table), check)
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.event is not None and record.event.dagster_event is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    return evaluation.passed, " ".join(str(v.value) for v in evaluation.metadata.values())


def block(home: Home, hour: datetime) -> Path:
    """A file where the lake wants a folder: the hour's rows cannot be written."""
    day = home.folder / "lake" / "raw_telemetry" / f"p_ingest_date_utc={hour:%Y-%m-%d}"
    day.mkdir(parents=True, exist_ok=True)
    (day / f"p_ingest_hour_utc={hour.hour}").write_text("in the way\n")
    return day / f"p_ingest_hour_utc={hour.hour}"
