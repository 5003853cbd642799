"""A range of 720 small hours through Dagster, beside Dagster's own bookkeeping for it.

Belongs here: both commands and their surroundings. Does not: the empty assets (`bookkeeping`).
"""

import shutil
import sys
from pathlib import Path

from bench.measure import ROOT, Comparison, Work, measure

HOURS = 720
PLAYERS = 200
# What telemetry fills hour by hour. The marts are built once for a range of any length.
TABLES = (
    "raw_telemetry",
    "cleaned_events",
    "quarantined_events",
    "hour_ledger",
    "table_ledger",
    "sessions",
    "user_version_history",
    "user_version_intervals",
)
RANGE = "2026-01-01-00:00...2026-01-30-23:00"


def comparisons(folder: Path) -> list[Comparison]:
    """All hourly assets and checks over 30 days of a small world: at most 1.5 times as long."""
    world = folder / "world"
    simulate = [str(Path(sys.executable).with_name("kpi")), "simulate", "--out", str(world)]
    measure(Work("simulate", [*simulate, "--hours", str(HOURS), "--players", str(PLAYERS)]))

    def work(name: str, module: str) -> Work:
        home = folder / name

        def start_anew() -> None:
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()

        environment = {
            "KPI_HOME": str(home),
            "KPI_LANDING_URI": str(world / "landing"),
            "KPI_SOURCES": str(world / "sources.yaml"),
            "KPI_FEEDS_URI": str(world / "feeds"),
            "DAGSTER_HOME": str(ROOT),
            "DAGSTER_MODULE_NAME": module,
        }
        command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select"]
        command += [" or ".join(f"key:{table}" for table in TABLES)]
        return Work(name, [*command, "--partition-range", RANGE], environment, start_anew)

    ours = work("range", "kpi_platform.definitions")
    return [Comparison(f"{HOURS} hours", ours, work("bookkeeping", "bench.bookkeeping"), 1.5)]
