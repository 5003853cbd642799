"""The works of the marts: filling a warehouse, dbt on all of it or an hour, the same SQL by hand.

Belongs here: what is measured, each in a process of its own, and what counts as time of the models.
Does not: measuring.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench.marts_world import DAY, START, open_world
from bench.measure import ROOT, WORKED
from kpi_platform.kpis.dbt.dbt_command import BUILD, extent
from kpi_platform.storage.kpi_database.embedded import clear_published, connect, mark_built

PROJECT = ROOT / "dbt"
HOUR = timedelta(hours=1)
# Enough of the hour's work is behind it when an hour comes: the middle of the last day.
NOON = timedelta(hours=12)


def fill(folder: Path, days: str, events_per_day: str) -> None:
    """Load so many days of so many events each, up to noon of the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    through = START + (int(days) - 1) * DAY + NOON
    with open_world(_warehouse(folder), int(events_per_day)) as world:
        world.fill(through)
    _remember(folder, int(events_per_day), through)


def full(folder: Path) -> float:
    """Build every model anew; the models' own seconds."""
    _lay_down_events(folder, everything=True)
    seconds = _models_seconds(folder, _build(folder, full_refresh=True))
    _close_books(folder, full_refresh=True)
    return seconds


def hour(folder: Path) -> float:
    """The next hour comes and is built; the models' own seconds."""
    events_per_day, last = _remembered(folder)
    with open_world(_warehouse(folder), events_per_day) as world:
        world.arrive(last + HOUR)
        world.lay_down_events(everything=False)
    _remember(folder, events_per_day, last + HOUR)
    seconds = _models_seconds(folder, _build(folder, full_refresh=False))
    _close_books(folder, full_refresh=False)
    return seconds


def hand(folder: Path) -> float:
    """The same SQL as a full refresh, statement by statement, into a file of its own."""
    path = folder / "hand.duckdb"
    path.unlink(missing_ok=True)
    _lay_down_events(folder, everything=True)
    _dbt(folder, "compile", "--full-refresh")
    statements = _statements(json.loads((folder / "target" / "manifest.json").read_text()))
    with duckdb.connect(str(path), config={"memory_limit": "3GB"}) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"attach '{_warehouse(folder)}' as warehouse (read_only)")
        con.execute(f"attach '{_warehouse(folder)}.events' as events_of_run (read_only)")
        con.execute("create schema staging; create schema marts")
        started = time.monotonic()
        for statement in statements:
            con.execute(statement)
        seconds = time.monotonic() - started
    path.unlink()
    return seconds


def start_dbt(folder: Path) -> float:
    """What a run of dbt costs besides its models: that of one view, less the view's own time."""
    started = time.monotonic()
    results = _dbt(folder, "build", "--select", "processed_through")
    return time.monotonic() - started - _models_seconds(folder, results)


def start_dagster(_: Path) -> None:
    """What Dagster does before the first step of a run: load the definitions."""
    import kpi_platform.definitions

    assert kpi_platform.definitions.defs


def _statements(manifest: Mapping[str, Any]) -> list[str]:
    """One statement per model, each after those it reads."""
    nodes = {k: n for k, n in manifest["nodes"].items() if n["resource_type"] == "model"}
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done or name not in nodes:
            return
        node = nodes[name]
        for parent in node["depends_on"]["nodes"]:
            add(parent)
        kind = "view" if node["config"]["materialized"] == "view" else "table"
        text = node["compiled_code"]
        for schema in ("staging", "marts"):
            for database in ("warehouse", "events_window"):
                text = text.replace(f'"{database}"."{schema}"', f'"hand"."{schema}"')
        done[name] = f"create {kind} hand.{node['schema']}.{node['name']} as {text}"

    for name in nodes:
        add(name)
    seeds = [n for n in manifest["nodes"].values() if n["resource_type"] == "seed"]
    copies = [
        f"create view hand.{n['schema']}.{n['name']} as from warehouse.{n['schema']}.{n['name']}"
        for n in seeds
    ]
    return copies + list(done.values())


def _build(folder: Path, *, full_refresh: bool) -> list[dict[str, Any]]:
    """What the platform runs."""
    how, environment = extent(full_refresh=full_refresh)
    return _dbt(folder, *BUILD, *how, environment=environment)


def _dbt(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    command = [str(Path(sys.executable).with_name("dbt")), *arguments, *places, "--quiet"]
    warehouse = {"KPI_WAREHOUSE_PATH": str(_warehouse(folder))}
    subprocess.run(command, check=True, env={**os.environ, **(environment or {}), **warehouse})
    results: list[dict[str, Any]] = json.loads((folder / "target/run_results.json").read_text())[
        "results"
    ]
    return results


def _models_seconds(folder: Path, results: list[dict[str, Any]]) -> float:
    """The seconds of the models; what each took is left in `models.json`, the longest first."""
    found: dict[str, float] = {r["unique_id"]: r["execution_time"] for r in results}
    models = {name: seconds for name, seconds in found.items() if name.startswith("model.")}
    longest = dict(sorted(models.items(), key=lambda item: -item[1]))
    (folder / "models.json").write_text(json.dumps(longest, indent=1))
    return sum(models.values())


def _lay_down_events(folder: Path, *, everything: bool) -> None:
    events_per_day, _ = _remembered(folder)
    with open_world(_warehouse(folder), events_per_day) as world:
        world.lay_down_events(everything=everything)


def _close_books(folder: Path, *, full_refresh: bool) -> None:
    with connect(_warehouse(folder)) as con:
        mark_built(con, "bench", full_refresh=full_refresh)
        clear_published(con)


def _warehouse(folder: Path) -> Path:
    return folder / "warehouse.duckdb"


def _remember(folder: Path, events_per_day: int, last: datetime) -> None:
    (folder / "world.json").write_text(json.dumps([events_per_day, last.isoformat()]))


def _remembered(folder: Path) -> tuple[int, datetime]:
    events_per_day, last = json.loads((folder / "world.json").read_text())
    return int(events_per_day), datetime.fromisoformat(last)


WORKS: dict[str, Callable[..., float | None]] = {
    "fill": fill,
    "full": full,
    "hour": hour,
    "hand": hand,
    "start-dbt": start_dbt,
    "start-dagster": start_dagster,
}

if __name__ == "__main__":
    _seconds = WORKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
    if _seconds is not None:
        sys.stdout.write(f"{WORKED}{_seconds}\n")
