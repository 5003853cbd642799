"""A failed hour is red in every run and for every asset until it is well, and no other hour is.

Belongs here: the real hourly assets up to the history, run by Dagster in this process. Does not:
the webserver and the daemon (`test_ui_ways.py`), and dbt.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from kpi_platform.arrivals.assets import raw_console_feed, raw_stream_feed, raw_studio_events
from kpi_platform.arrivals.assets import raw_telemetry as raw
from kpi_platform.cleaned.assets import cleaned_events, sessions
from kpi_platform.history.assets import user_version_history
from kpi_platform.orchestration.dagster_internals import EXECUTOR, already_recorded
from kpi_platform.orchestration.partitions import HOURLY
from kpi_platform.orchestration.recording import end_red_if_hours_failed, record_partitions
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform_tests.orchestration.home import Home, block, keys, materialised, new_home

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(3)]
BAD = HOURS[1]
SINGLE = dg.BackfillPolicy.single_run()
FIGURES = "figures"
_RANGE = "dagster/asset_partition_range"


@dg.multi_asset(
    specs=[dg.AssetSpec(FIGURES, deps=["user_version_history"], partitions_def=HOURLY)],
    backfill_policy=SINGLE,
)
def figures(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.Output[None]]:
    """Recorded as the hourly KPIs are, which are built for all hours at once."""
    lake = platform.platform.lake
    record_partitions(context, lake, dg.AssetKey(FIGURES), lambda _: 1, 0.0)
    yield already_recorded(FIGURES)
    end_red_if_hours_failed(context, lake)


@dg.multi_asset(specs=[dg.AssetSpec("page", deps=[FIGURES])], backfill_policy=SINGLE)
def page(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Has no hours, as the dashboard."""
    yield dg.MaterializeResult(asset_key="page")
    end_red_if_hours_failed(context, platform.platform.lake)


def job() -> dg.JobDefinition:
    """All of them."""
    feeds = [raw_console_feed, raw_stream_feed, raw_studio_events]
    hourly = [raw, *feeds, cleaned_events, sessions, user_version_history, figures]
    return dg.Definitions(
        [*hourly, page],
        jobs=[dg.define_asset_job("all_of_them", dg.AssetSelection.all())],
        resources={"platform": PlatformResource()},
        executor=EXECUTOR,
    ).resolve_job_def("all_of_them")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = new_home(tmp_path / "home", START)
    with mock.patch.dict(os.environ, made.environment, clear=True):
        yield made


def run(
    instance: dg.DagsterInstance, hours: Sequence[datetime], assets: Sequence[str] = ()
) -> dg.JobExecutionResult:
    """A run over hours that follow each other, of these assets or all."""
    first, last = min(keys(hours)), max(keys(hours))
    return dg.execute_job(
        dg.reconstructable(job),
        instance,
        tags={
            f"{_RANGE}_start": first,
            f"{_RANGE}_end": last,
        },
        asset_selection=[dg.AssetKey(name) for name in assets] or None,
    )


def again(instance: dg.DagsterInstance, before: dg.JobExecutionResult) -> dg.JobExecutionResult:
    """The same from its failure on."""
    options = dg.ReexecutionOptions.from_failure(before.run_id, instance)
    first = instance.get_run_by_id(before.run_id)
    assert first is not None
    # The UI copies the tags of the run before.
    tags = {name: first.tags[name] for name in first.tags if name.startswith(("kpi/", _RANGE))}
    return dg.execute_job(dg.reconstructable(job), instance, tags=tags, reexecution_options=options)


def red_steps(result: dg.JobExecutionResult) -> list[str]:
    return [str(event.step_key) for event in result.get_step_failure_events()]


def test_a_failed_hour_is_red_until_it_is_well_and_the_others_go_on(home: Home) -> None:
    for hour in HOURS:
        home.put(hour)
    in_the_way = block(home, BAD)
    downstream = ("cleaned_events", "sessions", "user_version_history", FIGURES, "page")
    with home.instance() as instance:
        first = run(instance, HOURS)
        # The step of the hour is red, so that a retry begins with it, and all that lacks the hour.
        assert red_steps(first) == ["raw_telemetry", *downstream]
        for table in ("raw_telemetry", *downstream[:-1]):
            assert materialised(instance, table) == keys(HOURS) - keys([BAD]), table

        second = again(instance, first)
        assert red_steps(second) == ["raw_telemetry", *downstream]

        alone = run(instance, [BAD], [FIGURES])
        assert red_steps(alone) == [FIGURES]
        assert materialised(instance, FIGURES) == keys(HOURS) - keys([BAD])

        in_the_way.unlink()
        third = again(instance, second)
        assert red_steps(third) == []
        healed = instance.get_run_by_id(third.run_id)
        assert healed is not None and healed.tags["kpi/failed_hours"] == "none"
        for table in ("raw_telemetry", *downstream[:-1]):
            assert materialised(instance, table) == keys(HOURS), table
        assert run(instance, [BAD], [FIGURES]).success


def test_an_hour_that_was_well_and_fails_is_red_for_the_history_too(home: Home) -> None:
    """Which still has what the hour held before, and would take it for unchanged."""
    home.put(HOURS[0])
    with home.instance() as instance:
        assert run(instance, HOURS[:1]).success
        home.put(HOURS[0], "late.tsv")
        day = home.folder / "lake" / "raw_telemetry" / f"p_ingest_date_utc={START:%Y-%m-%d}"
        (day / "p_ingest_hour_utc=0").rename(day / "kept")
        block(home, HOURS[0])
        # Of a single hour nothing is left to go on with.
        assert red_steps(run(instance, HOURS[:1])) == ["raw_telemetry"]
        assert red_steps(run(instance, HOURS[:1], ["user_version_history"])) == [
            "user_version_history"
        ]
