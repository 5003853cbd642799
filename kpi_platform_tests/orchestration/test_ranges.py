"""A range on the command line: every hour recorded, a bad hour left out, a killed run healed."""

import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from kpi_platform.engine.run_report import FIGURE_NAMES
from kpi_platform_tests.orchestration.home import (
    HOURLY,
    PLAYERS,
    TABLES,
    Home,
    block,
    evaluations,
    keys,
    latest_metadata,
    latest_text,
    materialised,
    new_home,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(4)]
FIGURES = {"rows", "files", "bytes", "quarantined", "duplicates", "seconds", "peak_memory_mib"}
# One line of six is broken: the share of quarantined lines warns, and stops nothing.
WARNS = "quarantine_share_is_low"
CHECKS = {
    "raw_telemetry_keeps_its_contract": "raw_telemetry",
    "every_line_is_accounted_for": "cleaned_events",
    "cleaned_events_keeps_its_contract": "cleaned_events",
    WARNS: "cleaned_events",
    "every_file_is_whole": "cleaned_events",
    "sessions_keeps_its_contract": "sessions",
    "one_row_per_player": "user_version_history",
    "intervals_do_not_overlap": "user_version_intervals",
}
# Checks of the landing zone as a whole, and what they must name.
NAMES = {
    "every_file_is_under_a_valid_hour": "stranger/2026/13/45/99/part-0.tsv (no valid hour)",
    "every_source_is_configured": "stranger",
}


def statuses(home: Home) -> dict[int, str]:
    """Hour of the day -> status in the ledger."""
    ledger = home.lake.scan("hour_ledger").select("p_ingest_hour_utc", "status").collect()
    return dict(ledger.sort("p_ingest_hour_utc").iter_rows())


def hours_with_rows(home: Home, table: str) -> list[int]:
    hours = home.lake.scan(table).select(pl.col("p_ingest_hour_utc").unique().sort()).collect()
    return hours.to_series().to_list()


def figures_of_outputs(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """Step -> the figures of the step as a whole, which all outputs that have them say alike."""
    found: dict[str, object] = {}
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT):
        event = record.get_dagster_event()
        metadata = event.step_output_data.metadata
        if "failed_hours" in metadata:
            figures = {name: metadata[name].value for name in FIGURE_NAMES if name in metadata}
            assert found.setdefault(str(event.step_key), figures) == figures
    return found


def figures_of_ledger(home: Home, run_id: str) -> dict[str, object]:
    of_steps = pl.col("asset") == pl.col("step")
    rows = home.lake.scan("run_ledger").filter(of_steps, run_id=run_id).collect().to_dicts()
    return {
        row["step"]: {name: row[name] for name in FIGURE_NAMES if row[name] is not None}
        for row in rows
    }


@pytest.mark.slow
def test_a_bad_hour_is_left_out_and_named_and_the_same_command_heals_it(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home", START)
    for hour in HOURS:
        home.put(hour)
    bad = HOURS[1]
    in_the_way = block(home, bad)
    others = [hour for hour in HOURS if hour != bad]
    lost = home.folder / "landing/stranger/2026/13/45/99/part-0.tsv"
    lost.parent.mkdir(parents=True)
    lost.write_text("under no valid hour\n")

    red = home.materialize("*", HOURS[0], HOURS[-1])

    assert red.returncode != 0
    assert "1 hours failed and were left out: 2026-01-01-01:00" in red.stdout
    assert in_the_way.name in red.stdout
    assert statuses(home) == {0: "processed", 1: "failed", 2: "processed", 3: "processed"}
    assert hours_with_rows(home, "cleaned_events") == [0, 2, 3]
    with home.instance() as instance:
        for table in TABLES:
            assert materialised(instance, table) == keys(others), table
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]

    in_the_way.unlink()
    green = home.materialize("*", HOURS[0], HOURS[-1])

    assert green.returncode == 0, green.stdout[-3000:]
    assert set(statuses(home).values()) == {"processed"}
    history = home.lake.scan("user_version_history").collect()
    assert history["version_count"].to_list() == [len(HOURS)] * PLAYERS
    with home.instance() as instance:
        for table in (*TABLES, "kpi_hourly", "kpi_daily"):
            assert materialised(instance, table) == keys(HOURS), table
            found = latest_metadata(instance, table)
            assert all(found[key].keys() >= FIGURES for key in keys(HOURS)), table
        for check, table in CHECKS.items():
            expected = dict.fromkeys(keys(HOURS), check != WARNS)
            assert evaluations(instance, table, check) == expected, check
        for check, expected_text in NAMES.items():
            passed, text = latest_text(instance, "raw_telemetry", check)
            assert (passed, expected_text in text) == (False, True), check
        run_id = instance.get_runs(limit=1)[0].run_id
        told = figures_of_outputs(instance, run_id)
        assert told.keys() >= {"raw_telemetry", "kpis", "publications"}
        assert told == figures_of_ledger(home, run_id)
        raw = latest_metadata(instance, "raw_telemetry")
        assert {key for key in raw if not raw[key]["unchanged"]} == keys([bad])
        figures = raw["2026-01-01-01:00"]
        assert (figures["rows"], figures["files"], figures["quarantined"]) == (PLAYERS, 1, 1)


@pytest.mark.slow
def test_a_killed_run_keeps_its_finished_hours_and_the_same_command_completes_it(
    tmp_path: Path,
) -> None:
    hours = [START + timedelta(hours=number) for number in range(8)]
    # Files of about 0.7 MB and chunks of 1 MiB: every hour is committed by itself.
    home = new_home(tmp_path / "home", START, KPI_CHUNK_MEGABYTES="1")
    for hour in hours:
        home.put(hour, copies=1000)

    with home.instance() as instance:
        process = subprocess.Popen(
            home.command(HOURLY, hours[0], hours[-1]),
            cwd=home.folder,
            env=home.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while len(materialised(instance, "raw_telemetry")) < 2:
                assert process.poll() is None, "ended before it could be killed"
                time.sleep(0.05)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finished = materialised(instance, "raw_telemetry")
        assert 2 <= len(finished) < len(hours)

    assert len(hours_with_rows(home, "raw_telemetry")) >= len(finished)
    again = home.materialize(HOURLY, hours[0], hours[-1])

    assert again.returncode == 0, again.stdout[-3000:]
    assert set(statuses(home).values()) == {"processed"}
    with home.instance() as instance:
        for table in TABLES:
            assert materialised(instance, table) == keys(hours), table
        raw = latest_metadata(instance, "raw_telemetry")
        unchanged = {key for key in raw if raw[key]["unchanged"]}
        # Of the hour in which the run died either both or only the table may know.
        assert finished <= unchanged
        assert len(unchanged) <= len(finished) + 1
        assert sum(raw[key]["rows"] for key in raw) == len(hours) * PLAYERS * 1000
