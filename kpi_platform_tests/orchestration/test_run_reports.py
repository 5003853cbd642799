"""A run's figures are the same in Dagster, in `run_ledger`, in the log and in every outlet."""

import json
import os
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from kpi_platform.arrivals.assets import raw_telemetry
from kpi_platform.cleaned.assets import cleaned_events
from kpi_platform.engine.books.hour_ledger import FIGURES
from kpi_platform.engine.run_report import FIGURE_NAMES
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform_tests.orchestration.home import KEY, PLAYERS, Home, block, new_home

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(3)]
STEPS = ("raw_telemetry", "cleaned_events")


def run(home: Home) -> dg.ExecuteInProcessResult:
    ends = {"start": HOURS[0].strftime(KEY), "end": HOURS[-1].strftime(KEY)}
    with mock.patch.dict(os.environ, home.environment, clear=True):
        return dg.materialize(
            [raw_telemetry, cleaned_events],
            resources={"platform": PlatformResource()},
            tags={f"dagster/asset_partition_range_{name}": key for name, key in ends.items()},
            raise_on_error=False,
        )


def figures_of(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, object]:
    return {name: metadata[name].value for name in FIGURE_NAMES if name in metadata}


def of_outputs(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    """Step -> what Dagster keeps with its outputs; those of checks have figures of their own."""
    return {
        str(event.step_key): figures_of(event.step_output_data.metadata)
        for event in result.all_events
        if event.is_successful_output and "seconds" in event.step_output_data.metadata
    }


def in_ledger(home: Home, run_id: str) -> dict[str, dict[str, object]]:
    rows = home.lake.scan("run_ledger").collect().filter(run_id=run_id).to_dicts()
    return {
        row["step"]: {name: row[name] for name in FIGURE_NAMES if row[name] is not None}
        for row in rows
    }


def in_log(text: str) -> dict[str, dict[str, object]]:
    lines = re.findall(r"- (\w+): (seconds=.*)", text)
    return {
        step: {name: json.loads(value) for name, value in re.findall(r"(\w+)=([\d.]+)", said)}
        for step, said in lines
    }


def in_emf(text: str) -> dict[str, dict[str, object]]:
    told = [json.loads(line) for line in text.splitlines() if line.startswith('{"_aws"')]
    return {
        each["step"]: {name: each[name] for name in FIGURE_NAMES if name in each} for each in told
    }


def in_prometheus(home: Home, steps: Collection[str]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {step: {} for step in steps}
    for step in steps:
        text = (home.folder / "metrics" / f"{step}.prom").read_text()
        for name, value in re.findall(r"^kpi_run_(\w+)\{.*\} (\S+)$", text, re.MULTILINE):
            found[step] |= {name: float(value)} if name in FIGURE_NAMES else {}
    return found


def test_everybody_is_told_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = new_home(tmp_path / "home", START, KPI_METRICS="emf,prometheus")
    for hour in HOURS:
        home.put(hour)
    in_the_way = block(home, HOURS[1])
    red, (red_out, red_err) = run(home), capfd.readouterr()
    in_the_way.unlink()
    green, (green_out, green_err) = run(home), capfd.readouterr()
    for result, out, err in ((red, red_out, red_err), (green, green_out, green_err)):
        outputs = of_outputs(result)
        assert outputs == in_ledger(home, result.run_id)
        assert outputs == in_log(err)
        assert outputs == in_emf(out)
        for step in outputs:
            # Of each count, the materialisations of the hours are what was added up.
            hours = [
                each.metadata
                for each in result.asset_materializations_for_node(step)
                if each.asset_key == dg.AssetKey(step)
            ]
            for name in FIGURES:
                assert outputs[step][name] == sum(h[name].value for h in hours), name
    assert of_outputs(green) == in_prometheus(home, STEPS)
    # A step that lacks an hour ends red, and what follows it waits.
    assert counts(red) == {"raw_telemetry": (2, 1, 0, 2 * PLAYERS + 2, 2 * PLAYERS, 2)}
    whole = (3 * PLAYERS + 3, 3 * PLAYERS, 3)
    assert counts(green) == {
        "raw_telemetry": (3, 0, 2, *whole),
        "cleaned_events": (3, 0, 0, *whole),
    }


def counts(result: dg.ExecuteInProcessResult) -> dict[str, tuple[object, ...]]:
    names = ("hours", "failed_hours", "unchanged_hours", "lines", "rows", "files")
    return {step: tuple(of[name] for name in names) for step, of in of_outputs(result).items()}


def test_a_ledger_that_cannot_be_written_stops_no_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = new_home(tmp_path / "home", START)
    home.put(HOURS[0])
    (home.folder / "lake").mkdir()
    (home.folder / "lake" / "run_ledger").write_text("in the way")
    assert run(home).success
    assert "run_ledger lacks this run" in capfd.readouterr().err
    assert home.lake.scan("cleaned_events").collect().height == PLAYERS
