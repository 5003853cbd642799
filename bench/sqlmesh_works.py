"""Hours as typed, ours and SQLMesh's: each work runs a command and says its CPU seconds.

Belongs here: the two sides, what comes to them, and what they then hold. Does not: the events
(`sighted_hours`), and comparing seconds.

A side is a folder. What it was sent lies in `sent`, a file an hour, for the reference.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl

from bench.measure import ROOT, WORKED
from bench.sighted_hours import (
    DAILY,
    HISTORIES,
    START,
    corrected,
    daily,
    events_of,
    histories,
    with_a_late_one,
    write_columns,
    write_lines,
)
from bench.typed_works import KEY, children_seconds, empty, make_empty, program

PROJECT = Path(__file__).with_name("sqlmesh_project")
PACKAGES = ("sqlmesh==0.236.4", "duckdb==1.5.6")
# The hours that are there before anything is measured.
HOURS = 8
SOURCES = "studios: [{key: studio, games: [{key: game, sources: [{key: game, telemetry: game}]}]}]"


class Ours:
    """The platform: `dagster asset materialize --select '*'`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """The sources file."""
        (self.folder / "home").mkdir()
        (self.folder / "sources.yaml").write_text(SOURCES)

    def receive(self, events: pl.DataFrame) -> None:
        """An hour's file comes, or comes again."""
        write_lines(events, self.folder / "landing")

    def run(self, first: int, last: int) -> "subprocess.Popen[bytes]":
        """Begin what is typed for these hours."""
        keys = [(START + timedelta(hours=number)).strftime(KEY) for number in (first, last)]
        hours = (
            ["--partition-range", "...".join(keys)] if first != last else ["--partition", keys[0]]
        )
        return _begun([program("dagster"), *_SELECT_ALL, *hours], self._environment())

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """`HISTORIES` and `DAILY` as they are."""
        from kpi_platform.storage.lake.lake import Lake

        lake = Lake(str(self.folder / "home" / "lake"))
        intervals = lake.scan("user_version_intervals").select(HISTORIES).collect()
        days = lake.published("kpi_daily")
        assert days is not None
        totals = days.filter(pl.col("platform") == "all", pl.col("dau") > 0).select(DAILY)
        return intervals, totals.collect()

    def _environment(self) -> dict[str, str]:
        return {
            "KPI_HOME": str(self.folder / "home"),
            "KPI_LANDING_URI": str(self.folder / "landing"),
            "KPI_SOURCES": str(self.folder / "sources.yaml"),
            "KPI_START_HOUR": START.strftime(KEY),
            "DAGSTER_HOME": str(ROOT),
            "DAGSTER_MODULE_NAME": "kpi_platform.definitions",
        }


class SQLMesh:
    """SQLMesh with DuckDB, in an environment of its own: `sqlmesh plan --run`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Install it, compiled as an installation is, and put its project there."""
        python = self.folder / "environment" / "bin" / "python"
        uv = program("uv")
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])])
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        _run([*install, *PACKAGES])
        shutil.copytree(PROJECT, self.folder / "project")

    def receive(self, events: pl.DataFrame) -> None:
        """An hour's file comes, or comes again."""
        write_columns(events, self.folder / "project" / "events")

    def run(self, first: int, last: int) -> "subprocess.Popen[bytes]":
        """Begin what is typed when the last hour is over: it finds out itself what is missing."""
        over = START + timedelta(hours=last + 1)
        options = ["--run", "--auto-apply", "--no-prompts", "--no-diff"]
        options += ["--execution-time", f"{over:%Y-%m-%d %H:%M:%S}"]
        program = str(self.folder / "environment" / "bin" / "sqlmesh")
        return _begun([program, "plan", *options], {}, self.folder / "project")

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """`HISTORIES` and `DAILY` as they are."""
        with duckdb.connect(str(self.folder / "project" / "peer.duckdb"), read_only=True) as con:
            found = [
                con.execute(f"select {', '.join(columns)} from bench.{table}").to_arrow_table()
                for table, columns in (("histories", HISTORIES), ("daily", DAILY))
            ]
        return pl.DataFrame(found[0]), pl.DataFrame(found[1])


Side = Ours | SQLMesh
SIDES: dict[str, type[Ours] | type[SQLMesh]] = {"ours": Ours, "sqlmesh": SQLMesh}


def build(side: Side) -> None:
    """The first hours, at once."""
    side.folder.mkdir(parents=True)
    side.prepare()
    for number in range(HOURS):
        _send(side, events_of(number))
    _finish(side.run(0, HOURS - 1))


def following(side: Side) -> None:
    """The next hour."""
    number = _next(side)
    _send(side, events_of(number))
    _finish(side.run(number, number))


def late(side: Side) -> None:
    """The next hour, with an event that happened five hours before."""
    number = _next(side)
    _send(side, with_a_late_one(events_of(number)))
    _finish(side.run(number, number))


def correction(side: Side) -> None:
    """The file of an hour comes again, without every tenth event; another hour each time."""
    name = side.folder / "corrected"
    number = int(name.read_text()) + 1 if name.exists() else 1
    name.write_text(str(number))
    _send(side, corrected(events_of(number)))
    # Ours is told which hour; the peer looks for what changed, as it always does.
    _finish(side.run(number, number if isinstance(side, Ours) else _next(side) - 1))


def unchanged(side: Side) -> None:
    """The newest hour again."""
    number = _next(side) - 1
    _finish(side.run(number, number))


def kill(side: Side) -> None:
    """The next hour, killed in the middle of the time that one takes, and typed again."""
    number = _next(side)
    _send(side, events_of(number))
    began = time.monotonic()
    _finish(side.run(number, number))
    seconds = time.monotonic() - began
    number += 1
    _send(side, events_of(number))
    for share in (0.5, 0.7, 0.9):
        process = side.run(number, number)
        time.sleep(seconds * share)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _finish(side.run(number, number))


def differences(side: Side) -> int:
    """The rows in which what a side holds and the reference differ."""
    sent = pl.read_parquet(side.folder / "sent" / "*.parquet")
    return sum(
        _different(found, expected)
        for found, expected in zip(side.tables(), (histories(sent), daily(sent)), strict=True)
    )


def _different(found: pl.DataFrame, expected: pl.DataFrame) -> int:
    sides = (_alike(found), _alike(expected))
    return sum(
        one.join(other, on=one.columns, how="anti").height for one, other in (sides, sides[::-1])
    )


def _alike(rows: pl.DataFrame) -> pl.DataFrame:
    """The same whatever the width of a side's numbers, and the unit and zone of its times."""
    if "dau" in rows.columns:
        return rows.cast({"dau": pl.Int64})
    return rows.with_columns(pl.col("valid_from").dt.epoch("us"))


_SELECT_ALL = ("asset", "materialize", "--select", "*")


def _send(side: Side, events: pl.DataFrame) -> None:
    sent = side.folder / "sent"
    sent.mkdir(exist_ok=True)
    events.write_parquet(sent / f"{events['ingest_hour'][0]:%Y-%m-%d-%H}.parquet")
    side.receive(events)


def _next(side: Side) -> int:
    return len(list((side.folder / "sent").iterdir()))


def _begun(
    command: list[str], own: dict[str, str], folder: Path = ROOT
) -> "subprocess.Popen[bytes]":
    environment = os.environ | own
    # Compiled, as an installation is, whatever the environment says.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)


def _finish(process: "subprocess.Popen[bytes]") -> None:
    if process.wait():
        sys.exit(process.returncode)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)


WORKS: dict[str, Callable[[Side], None]] = {
    "build": build,
    "next": following,
    "late": late,
    "correction": correction,
    "unchanged": unchanged,
    "kill": kill,
}


def main(side_name: str, work: str, folder: Path) -> None:
    """Do the work, count the rows that are then wrong, and say the CPU seconds of its command.

    Of ours, Dagster's own are taken off, where `empty` ran before and left them.
    """
    floor = folder / "empty_seconds"
    if work == "empty":
        make_empty(folder)
        empty(folder)
        seconds = children_seconds()
        floor.write_text(str(seconds))
    else:
        side = SIDES[side_name](folder / side_name)
        WORKS[work](side)
        seconds = children_seconds()
        with (folder / "exactness.csv").open("a") as file:
            file.write(f"{work},{side_name},{differences(side)}\n")
        if isinstance(side, Ours) and floor.exists():
            seconds -= float(floor.read_text())
    sys.stdout.flush()
    print(f"{WORKED}{seconds}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
