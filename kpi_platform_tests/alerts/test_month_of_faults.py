"""A month with faults thrown in: the list of messages sent, each with its cause, and none missing.

Real: the books of a month of hours in a lake, the checks of volume and of attributes over them, the
marks, passes, outbox and an HTTP server. By hand: the hours' rows, figures restated, and the
evaluations of what looks at files and at warehouses (cut, held, drifted), as runs report them.
"""

import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from kpi_platform.alerts.alert_pass import Places
from kpi_platform.alerts.alert_round import alert_round
from kpi_platform.engine.books.hour_ledger import empty_rows, mark_failed, write_ledger
from kpi_platform.engine.platform import Platform
from kpi_platform.monitoring.checks import (
    services_send_what_they_sent,
    sources_send_as_much_as_usual,
)
from kpi_platform.orchestration.partitions import key_of
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.schemas.tables import TABLES
from kpi_platform.settings import load_settings
from kpi_platform_tests.alerts.test_found_elsewhere import restate
from kpi_platform_tests.delivery.loopback import WebServer, web_server

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# A Monday, after four weeks in which nobody was told anything.
START = datetime(2026, 3, 30, tzinfo=UTC)
FIRST = START - 28 * DAY
# Of each source its studio, and about how many lines come in an hour.
STUDIOS = {"gulls": ("south", 500), "mines": ("east", 200), "rails": ("north", 900)}
SOURCES = "studios:" + "".join(
    f"\n- {{key: {studio}, games: [{{key: {source}, sources: "
    f"[{{key: {source}, telemetry: {source}}}]}}]}}"
    for source, (studio, _) in STUDIOS.items()
)
ALERTS = """
alert_policies:
- {name: all, event_types: [ALL], notification_service: {url: {url: URL}}}
"""
WHOLE = dg.AssetCheckKey(dg.AssetKey("cleaned_events"), "every_file_is_whole")
HELD = dg.AssetCheckKey(dg.AssetKey("raw_telemetry"), "no_hour_holds_files_that_are_gone")
MAPPED = dg.AssetCheckKey(dg.AssetKey("raw_studio_events"), "warehouses_are_as_mapped")
VOLUME = dg.AssetCheckKey(dg.AssetKey("hour_ledger"), "sources_send_as_much_as_usual")
ATTRIBUTES = dg.AssetCheckKey(dg.AssetKey("cleaned_events"), "services_send_what_they_sent")


def at(day: int, hour: float = 0) -> datetime:
    """An instant of the month; its days count from 0."""
    return START + day * DAY + hour * HOUR


class Month:
    """A platform whose hours are written as time goes on. `silent` and `renamed`: of which source
    from when to when nothing comes, or no `Version`; `stopped`: when no daemon runs."""

    def __init__(self, places: Places, server: WebServer) -> None:
        self.places, self.server, self.done = places, server, FIRST
        self.silent: dict[str, tuple[datetime, datetime]] = {}
        self.renamed: dict[str, tuple[datetime, datetime]] = {}

    def write(self, first: datetime, end: datetime) -> None:
        """The hours from `first` to `end` run, with what has come of them."""
        hours = [first + n * HOUR for n in range(round((end - first) / HOUR))]
        ledger, carried = [], []
        for hour in hours:
            empty, came = (
                empty_rows(hour, STUDIOS),
                pl.Series([self.lines(s, hour) for s in STUDIOS]),
            )
            ledger.append(empty.with_columns(files=came.sign(), lines=came, rows=came))
            for source, lines in zip(STUDIOS, came, strict=True):
                versions = 0 if _within(self.renamed.get(source), hour) else lines
                of = (hour.date(), hour.hour, source)
                carried += [
                    (*of, "client", "", "", lines, lines),
                    (*of, "client", "SoftwareVersion", "", lines, lines),
                    (*of, "client", "SoftwareVersion", "Version", lines, versions),
                ]
        if hours:
            lake = self.places.parts.lake
            write_ledger(lake, pl.concat(ledger), hours)
            schema = TABLES["event_attributes"].polars_schema
            rows = pl.DataFrame([row for row in carried if row[-2]], schema=schema, orient="row")
            lake.replace_hours("event_attributes", rows, hours)

    def lines(self, source: str, hour: datetime) -> int:
        """More by day and at weekends, never quite the same."""
        if _within(self.silent.get(source), hour):
            return 0
        by_day = 1 + 0.6 * math.sin((hour.hour - 10) / 24 * math.tau)
        chance = 1 + 0.03 * math.sin(hour.timestamp() / 3600 * 12.9898)
        return round(STUDIOS[source][1] * by_day * (1.3 if hour.weekday() >= 5 else 1) * chance)

    def judged(self, key: dg.AssetCheckKey, found: dg.AssetCheckResult) -> None:
        """A check of everything reports what it found."""
        evaluation = _evaluation(key, passed=found.passed, metadata=found.metadata)
        self.places.instance.report_runless_asset_event(evaluation)

    def evaluated(self, key: dg.AssetCheckKey, *hours: datetime, passed: bool) -> None:
        """A run reports what a check found of hours."""
        evaluations = [
            _evaluation(key, passed=passed, metadata={"sources": "rails"}, partition=key_of(hour))
            for hour in hours
        ]

        @dg.op
        def evaluate(context: dg.OpExecutionContext) -> None:
            for evaluation in evaluations:
                context.log_event(evaluation)

        @dg.job
        def evaluating() -> None:
            evaluate()

        evaluating.execute_in_process(instance=self.places.instance)

    def goes_on(self, now: datetime, *, is_stopped: bool = False) -> None:
        """Every hour that is over by `now` runs, the hourly checks look, and a pass is made."""
        if not is_stopped:
            until = now.replace(minute=0)
            self.write(self.done, until)
            self.done = max(self.done, until)
            platform = PlatformResource()
            for key, check in (
                (VOLUME, sources_send_as_much_as_usual),
                (ATTRIBUTES, services_send_what_they_sent),
            ):
                result = check(platform=platform)
                assert isinstance(result, dg.AssetCheckResult)
                self.judged(key, result)
        alert_round(self.places, now)

    def told(self) -> list[tuple[str, str]]:
        """What was told since this was last asked: the event, and what it is about."""
        said = []
        for _, _, body in self.server.requests:
            kind = body["link"].rpartition("#")[2]
            said.append((body["event"], f"{kind} {body['facts'].get('source', '')}".strip()))
        self.server.requests.clear()
        return said


def _evaluation(
    key: dg.AssetCheckKey, *, passed: bool, metadata: Any, partition: str | None = None
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
        partition=partition,
    )


def _within(span: tuple[datetime, datetime] | None, hour: datetime) -> bool:
    return span is not None and span[0] <= hour < span[1]


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Month]:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("KPI_START_HOUR", key_of(FIRST))
    monkeypatch.setenv("KPI_ALERTS", str(tmp_path / "alerts.yaml"))
    logging.getLogger("dagster").setLevel(logging.ERROR)
    (tmp_path / "dagster").mkdir()
    with (
        dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance,
        web_server() as server,
    ):
        (tmp_path / "alerts.yaml").write_text(ALERTS.replace("URL", server.url))
        yield Month(Places(Platform(load_settings()), instance, {}, {}), server)


def test_a_month_of_faults_fed_to_real_passes_sends_this_list_and_nothing_else(
    month: Month,
) -> None:
    lake, sent = month.places.parts.lake, []
    beat = ("heartbeat", "")

    def day(number: int, *moments: float) -> None:
        """Passes in the morning, and when told."""
        for moment in sorted({7.5, *moments}):
            month.goes_on(at(number, moment))
        sent.append((number, month.told()))

    restate(lake, FIRST, ("all", "dau", 1000.0, 1001.0))
    month.goes_on(at(0, 0.5))
    day(0)
    day(1)
    # A file is cut, and uploaded again a day later.
    month.evaluated(WHOLE, at(2, 8), passed=False)
    day(2, 9.5)
    month.evaluated(WHOLE, at(2, 8), passed=True)
    day(3, 9.5)
    # A source is dead from ten to ten; what it had kept comes at noon.
    month.silent["gulls"] = (at(4, 10), at(9))
    day(4, 12.5, 18.5)
    month.silent.clear()
    month.write(at(4, 10), month.done)
    day(5, 12.5)
    # A client renames `Version` for thirty hours.
    month.renamed["rails"] = (at(6, 10), at(7, 16))
    day(6, 12.5)
    day(7, 12.5, 19.5)
    day(8)
    # Files go and are let go.
    month.evaluated(HELD, at(9, 3), passed=False)
    day(9, 10.5)
    month.evaluated(HELD, at(9, 3), passed=True)
    day(10, 10.5)
    # A studio changes its tables, and puts them back.
    month.evaluated(MAPPED, at(11, 6), at(11, 7), at(11, 8), passed=False)
    day(11, 9.5)
    month.evaluated(MAPPED, at(11, 6), at(11, 7), at(11, 8), passed=True)
    day(12, 9.5)
    # Hours are corrected: figures change, those of the first within the limit.
    restate(lake, at(13, 6), ("all", "dau", 1000.0, 1003.0))
    restate(lake, at(13, 8), ("all", "dau", 1003.0, 1100.0), ("north", "dau", 500.0, 590.0))
    day(13, 9.5)
    day(14)
    # The daemon is stopped for a day: from seven to seven nothing runs, and nobody is told.
    month.goes_on(at(15, 6.5))
    sent.append((15, month.told()))
    month.goes_on(at(16, 7.4), is_stopped=True)
    day(16, 8.5)
    # Three hours fail on a full disk, and are run again.
    day(17)
    for hour in (8, 9, 10):
        mark_failed(lake, at(17, hour - 24), "the disk is full", STUDIOS)
    day(18, 11.5)
    month.write(at(16, 8), at(16, 11))
    day(19, 9.5)
    for number in range(20, 30):
        day(number)

    def opened_and_over(first: int, kind: str, last: int | None = None) -> None:
        expected[first] += [("opened", kind)]
        expected[first if last is None else last] += [("resolved", kind)]

    expected = {number: [beat] for number in range(30)}
    opened_and_over(2, "check_failed rails", 3)
    opened_and_over(4, "source_silent gulls", 5)
    opened_and_over(6, "attribute_silent rails", 7)
    opened_and_over(9, "files_held rails", 10)
    opened_and_over(11, "schema_drifted rails", 12)
    expected[13] += [("opened", "figure_restated")]
    # Nobody was told that it was watched on that day: which tells that it was not.
    expected[15] = []
    opened_and_over(16, "data_not_fresh")
    opened_and_over(18, "hour_failed", 19)
    assert {number: sorted(told) for number, told in sent} == {
        number: sorted(told) for number, told in expected.items()
    }
