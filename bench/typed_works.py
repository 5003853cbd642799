"""The works of what a person types: each runs a command and says the CPU seconds of all of it.

Belongs here: the commands, and the small world that they work on. Does not: measuring anything
else.
"""

import os
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measure import ROOT, WORKED

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "%Y-%m-%d-%H:%M"
# Names the file for samples of where Dagster's command spends its time (`profiles`).
SAMPLES = "BENCH_SAMPLES"
# The hours that are there before anything is measured; later ones come one by one.
HOURS, COMING = 8, 16
EMPTY_ASSET = """import dagster as dg

@dg.asset(partitions_def=dg.HourlyPartitionsDefinition("2026-01-01-00:00"))
def empty() -> None: ...

defs = dg.Definitions([empty])
"""


def make(folder: Path) -> None:
    """A world of small hours, the first of them worked through, and an empty asset."""
    world = ["simulate", "--out", str(folder / "world"), "--start", START.strftime(KEY)]
    world += ["--hours", str(HOURS + COMING), "--players", "200", "--seed", "5"]
    _run([program("kpi"), *world], folder)
    make_empty(folder)
    for number in range(HOURS):
        _arrive(folder, START + timedelta(hours=number))
    last = START + timedelta(hours=HOURS - 1)
    hours = f"{START.strftime(KEY)}...{last.strftime(KEY)}"
    _run([*_materialize("*"), "--partition-range", hours], folder)
    _remember(folder, last)


def make_empty(folder: Path) -> None:
    """A module with an empty hourly asset, and a home for Dagster."""
    (folder / "empty").mkdir()
    (folder / "empty" / "dagster.yaml").touch()
    (folder / "empty" / "empty_hour.py").write_text(EMPTY_ASSET)


def empty(folder: Path) -> None:
    """Dagster's own command on an empty hourly asset, in its default executor."""
    own = {
        "DAGSTER_HOME": str(folder / "empty"),
        "DAGSTER_MODULE_NAME": "empty_hour",
        "PYTHONPATH": str(folder / "empty"),
    }
    command = [*_materialize("empty"), "--partition", START.strftime(KEY)]
    _run(command, folder, own)


def unchanged(folder: Path) -> None:
    """The newest hour again."""
    _run([*_materialize("*"), "--partition", _remembered(folder).strftime(KEY)], folder)


def following(folder: Path) -> None:
    """The files of the next hour come; it is worked through."""
    hour = _remembered(folder) + timedelta(hours=1)
    _arrive(folder, hour)
    _run([*_materialize("*"), "--partition", hour.strftime(KEY)], folder)
    _remember(folder, hour)


def kpi_help(folder: Path) -> None:
    """What the command can do."""
    _run([program("kpi"), "--help"], folder)


def version_at(folder: Path) -> None:
    """The version of a player whom nobody knows: the same work, and an exit of its own."""
    command = [program("kpi"), "version-at", "nobody", START.strftime("%Y-%m-%dT%H:%M")]
    _run(command, folder, allowed=(0, 3))


def _run(
    command: list[str],
    folder: Path,
    own: dict[str, str] | None = None,
    allowed: tuple[int, ...] = (0,),
) -> None:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "KPI_HOME": str(home),
        "KPI_LANDING_URI": str(folder / "landing"),
        "KPI_FEEDS_URI": str(folder / "world" / "feeds"),
        "KPI_SOURCES": str(folder / "world" / "sources.yaml"),
        "DAGSTER_HOME": str(ROOT),
        "DAGSTER_MODULE_NAME": "kpi_platform.definitions",
    }
    if not (folder / "world").exists():
        del environment["KPI_SOURCES"]
    # Compiled, as an installation is, whatever the environment says.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, env=environment | (own or {}), cwd=ROOT, check=False)
    if done.returncode not in allowed:
        sys.exit(done.returncode)


def _materialize(select: str) -> list[str]:
    samples = os.environ.get(SAMPLES)
    dagster = [sys.executable, "-m", "bench.sampled", samples] if samples else [program("dagster")]
    return [*dagster, "asset", "materialize", "--select", select]


def program(name: str) -> str:
    """A program of the environment that this one runs in."""
    return str(Path(sys.executable).with_name(name))


def children_seconds() -> float:
    """CPU seconds of all commands that this process ran."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _arrive(folder: Path, hour: datetime) -> None:
    for source in (folder / "world" / "landing").iterdir():
        files = source / f"{hour:%Y/%m/%d/%H}"
        if files.is_dir():
            shutil.copytree(files, folder / "landing" / source.name / f"{hour:%Y/%m/%d/%H}")


def _remember(folder: Path, hour: datetime) -> None:
    (folder / "newest").write_text(hour.isoformat())


def _remembered(folder: Path) -> datetime:
    return datetime.fromisoformat((folder / "newest").read_text())


if __name__ == "__main__":
    works = {
        "make": make,
        "empty": empty,
        "unchanged": unchanged,
        "next": following,
        "help": kpi_help,
        "version-at": version_at,
    }
    works[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.flush()
    print(f"{WORKED}{children_seconds()}")
