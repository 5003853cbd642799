"""What `make demo` does: a small world, its hours through Dagster, and what came out.

Belongs here: the tour for somebody who sees the platform for the first time. Does not: any work
that a user of the real thing would do differently.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import polars as pl

from kpi_platform.cli.terminal import say_lines
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.players import player_id
from kpi_platform.settings import PARTITION_FORMAT, Settings, load_settings, make_home
from kpi_platform.simulator import simulate
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing_upload import upload
from kpi_platform.storage.local_servers.local_process import ending_with_us
from kpi_platform.storage.local_servers.local_s3 import local_s3

_PROGRESS = re.compile(r" - INFO - \S+ - \S+ - \S+ - (\w+: .+)")


def run_demo(settings: Settings, hours: int, players: int, seed: int, *, on_s3: bool) -> int:
    """Run the tour; returns the exit code of the Dagster run."""
    world = make_home(settings) / "world"
    started = time.monotonic()
    with ExitStack() as stack:
        environment = _place(settings, world, stack, on_s3=on_s3)
        _make_world(settings, world, hours, players, seed)
        if on_s3:
            for folder, setting in (("landing", "KPI_LANDING_URI"), ("feeds", "KPI_FEEDS_URI")):
                files = upload(world / folder, environment[setting])
                say_lines(f"uploaded {files} files to {environment[setting]}")
        code = _materialise(settings, environment, hours)
        if code == 0:
            _show(Platform(load_settings()), world)
            _say_what_next(world, on_s3=on_s3, seconds=time.monotonic() - started)
    return code


def _place(settings: Settings, world: Path, stack: ExitStack, *, on_s3: bool) -> Mapping[str, str]:
    """Where landing and lake are: in folders, or on an S3 server that runs as long as the tour."""
    places = {"KPI_SOURCES": str(world / "sources.yaml"), "KPI_LANDING_URI": str(world / "landing")}
    places |= {"KPI_FEEDS_URI": str(world / "feeds")}
    if on_s3:
        server = stack.enter_context(local_s3(settings.home / "s3"))
        bucket = server.create_bucket("kpi-demo")
        places |= server.environment()
        places |= {"KPI_LANDING_URI": f"{bucket}/landing", "KPI_FEEDS_URI": f"{bucket}/feeds"}
        places |= {"KPI_LAKE_URI": f"{bucket}/lake"}
        places |= {"KPI_WAREHOUSE_PATH": str(settings.home / "warehouse-s3.duckdb")}
    os.environ.update(places)
    return places


def _make_world(settings: Settings, world: Path, hours: int, players: int, seed: int) -> None:
    if world.exists():
        say_lines(f"{world} is there already: using it (remove it to make another)")
        return
    say_lines(f"making {hours} hours of three studios, {players} players, in {world}")
    summary = simulate(world, settings.start_hour, hours, players, seed)
    say_lines(
        f"  {summary.lines:,} lines in {summary.files} files: {summary.rows:,} events, "
        f"{summary.duplicates} copies, {summary.quarantined} broken lines"
    )


def _materialise(settings: Settings, environment: Mapping[str, str], hours: int) -> int:
    """Run what a user would run, and show its progress; the whole log stays in a file."""
    first = settings.start_hour.strftime(PARTITION_FORMAT)
    last = (settings.start_hour + timedelta(hours=hours - 1)).strftime(PARTITION_FORMAT)
    command = ["dagster", "asset", "materialize", "--select", "*"]
    command += ["--partition-range", f"{first}...{last}"]
    say_lines(f"dagster {' '.join(command[1:4])} '*' --partition-range {first}...{last}")
    log = settings.home / "demo.log"
    with log.open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(  # noqa: S603 (fixed command, no shell)
            [sys.executable, "-m", *command],
            env={**os.environ, **environment, "DAGSTER_MODULE_NAME": "kpi_platform.definitions"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        with ending_with_us(process):
            for line in process.stdout or ():
                kept.write(line)
                progress = _PROGRESS.search(line)
                if progress:
                    say_lines(f"  {progress[1]}")
    code = process.wait()
    if code:
        say_lines(f"the run failed: see {log}")
    return code


def _show(platform: Platform, world: Path) -> None:
    lake = platform.lake
    ledger = lake.scan("hour_ledger").collect()
    fates = ("quarantined", "duplicates", "left_out", "suppressed", "sealed")
    lines, rows, *others = ledger.select(pl.col("lines", "rows", *fates).sum()).row(0)
    rest = "".join(
        f" + {count} {fate.replace('_', ' ')}" for fate, count in zip(fates, others, strict=True)
    )
    say_lines(f"\nevery line accounted for: {lines:,} lines = {rows:,} rows{rest}")
    _show_studios(lake)
    player = _interesting_player(lake)
    say_lines(f"\nthe version history of one player ({player}):")
    intervals = lake.scan("user_version_intervals").filter(pl.col("player_id") == player).collect()
    for row in intervals.sort("service_name", "device", "valid_from").iter_rows(named=True):
        until = f"to {row['valid_to']:%Y-%m-%d %H:%M}" if row["valid_to"] else "until now"
        say_lines(
            f"  {row['service_name']} on {row['device']}: {row['version']}"
            f" from {row['valid_from']:%Y-%m-%d %H:%M} {until}"
        )
    _show_days(lake)
    say_lines("\nbeside the simulator's truth:")
    _compare(platform, world)


def _show_studios(lake: Lake) -> None:
    """Three schemas that have nothing in common, and what became of their rows."""
    say_lines("\nstudios' warehouses, table by table (table_ledger):")
    ledger = lake.scan("table_ledger").collect()
    figures = ("lines", "rows", "quarantined", "left_out")
    sums = ledger.group_by("source", "table_name").agg(pl.col(figures).sum())
    for source, table, lines, rows, quarantined, left_out in sums.sort(pl.all()).iter_rows():
        say_lines(
            f"  {source} {table}: {lines} rows captured = {rows} events + {quarantined}"
            f" quarantined + {left_out} deleted"
        )


def _show_days(lake: Lake) -> None:
    days = lake.published("kpi_daily")
    if days is None:
        return
    say_lines("\nKPIs by day, whole portfolio (published/kpi_daily):")
    total = days.filter(pl.col("studio") == "all").sort("date").collect()
    for day in total.iter_rows(named=True):
        state = "complete" if day["is_complete"] else "provisional"
        say_lines(
            f"  {day['date']}: {day['dau']} active players, {day['new_players']} new,"
            f" {day['sessions']} sessions, {day['revenue_usd']:.2f} USD, {state}"
        )


def _interesting_player(lake: Lake) -> str:
    """The player with the most intervals; of several the first by name."""
    counts = lake.scan("user_version_intervals").group_by("player_id").len()
    most = counts.sort(["len", "player_id"], descending=[True, False]).head(1).collect()
    return str(most["player_id"][0])


def _compare(platform: Platform, world: Path) -> None:
    """Hold the tables against what the simulator says it made."""
    lake = platform.lake
    for name, table, truths in (
        ("hours", "hour_ledger", ("hours", "source_hours")),
        ("sessions", "sessions", ("sessions", "source_sessions")),
        ("intervals", "user_version_intervals", ("intervals", "source_intervals")),
        ("stream stats", "stream_stats", ("stream_stats",)),
    ):
        found = lake.scan(table).collect()
        parts = [pl.read_parquet(world / "truth" / f"{truth}.parquet") for truth in truths]
        truth = pl.concat([part.select(parts[0].columns) for part in parts])
        _say_differences(name, truth, found)
    events = pl.read_parquet(world / "truth" / "source_events.parquet")
    _say_differences("studios' and consoles' events", events, _events(platform, events))


def _events(platform: Platform, truth: pl.DataFrame) -> pl.DataFrame:
    """The events of the sources that the truth knows, with what their attributes say."""
    rules = platform.player_id_rules
    return (
        platform.lake.scan("cleaned_events")
        .filter(pl.col("source").is_in(truth["source"].unique().implode()))
        .collect()
        .with_columns(
            player_id=player_id(rules.attributes, rules.local_sources),
            currency=attribute("Currency"),
            amount=attribute("Amount").cast(pl.Float64),
        )
    )


def _say_differences(name: str, truth: pl.DataFrame, found: pl.DataFrame) -> None:
    same = found.select(truth.columns)
    missing = truth.join(same, on=truth.columns, how="anti", nulls_equal=True).height
    extra = same.join(truth, on=truth.columns, how="anti", nulls_equal=True).height
    say_lines(f"  {name}: {truth.height} in the truth, {missing + extra} differences")


def _open_ui(world: Path) -> str:
    """The command for it: an installed wheel has no Makefile."""
    if (Path(__file__).parents[3] / "Makefile").is_file():
        return "make ui"
    sources = shlex.quote(str(world / "sources.yaml"))
    return f"KPI_SOURCES={sources} dagster dev -m kpi_platform.definitions --port 3000"


def _say_what_next(world: Path, *, on_s3: bool, seconds: float) -> None:
    say_lines(f"\ndone in {seconds:.0f} s")
    if not on_s3:
        say_lines(f"open the UI: {_open_ui(world)}, then http://127.0.0.1:3000")
        page = Path(load_settings().lake) / "published" / "kpi_dashboard.html"
        say_lines(f"the dashboard, for any browser: {page}")
