"""A platform whose files arrive hour by hour, and the alerts that it sends of them.

Belongs here: real telemetry files in a landing folder, a studio's real database, the platform's own
steps and checks over them, passes, and an HTTP server that is told. Does not: what goes wrong when.

Without Dagster's processes and dbt: steps and checks are called as assets call them. Of evaluations
only those reach Dagster's table that failed, or whose check had failed in that hour: the others
say what was known. Published figures are sessions by day, counted from the lake, and
published as every mart is.
"""

import errno
import gzip
import math
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import duckdb
import polars as pl

from kpi_platform.alerts.alert_pass import Places
from kpi_platform.alerts.alert_round import alert_round
from kpi_platform.arrivals.checks import check_raw, check_reads, check_studios
from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.checked_hours import Evaluate, work_and_check
from kpi_platform.engine.hour_steps import HourStep
from kpi_platform.engine.platform import Platform
from kpi_platform.monitoring.checks import (
    services_send_what_they_sent,
    sources_send_as_much_as_usual,
)
from kpi_platform.monitoring.freshness import JUDGED, judge_freshness
from kpi_platform.orchestration.partitions import key_of
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.published.publish import (
    Publication,
    moment_of_entries,
    publish,
    restate,
    stamps_of,
)
from kpi_platform.schemas.hours.hour_checks import HourCheck
from kpi_platform.settings import load_settings
from kpi_platform.storage.kpi_database.marts import Marts
from kpi_platform_tests.delivery.loopback import WebServer

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# A Monday.
START = datetime(2026, 3, 30, tzinfo=UTC)
# About how many lines come of each in an hour.
LINES = {"gulls": 50, "mines": 20, "rails": 70}
SOURCES = f"""
studios:
- {{key: south, games: [{{key: gulls, sources: [{{key: gulls, telemetry: gulls}}]}}]}}
- {{key: east, games: [{{key: mines, sources: [{{key: mines, telemetry: mines}}]}}]}}
- {{key: north, games: [{{key: rails, sources: [{{key: rails, telemetry: rails}}]}}]}}
- key: west
  warehouse: {{kind: duckdb, path: west.duckdb}}
  games:
  - key: terns
    sources:
    - key: terns
      schema: game
      since: {START + 10 * DAY:%Y-%m-%dT%H:%M:%SZ}
      until: {START + 14 * DAY:%Y-%m-%dT%H:%M:%SZ}
      tables:
      - table: versions
        key: id
        watermark: changed_at
        event: SoftwareVersion
        event_at: changed_at
        player_id: player
        session_id: session
        attributes: {{Version: version}}
"""
ALERTS = """
alert_policies:
- {name: all, event_types: [ALL], notification_service: {url: {url: URL}}}
"""
VALUES = Publication("kpi_values", "date", "period")
Told = tuple[str, str]


def at(day: int, hour: float = 0) -> datetime:
    """An instant of the month; its days count from 0."""
    return START + day * DAY + hour * HOUR


class _SessionsByDay:
    """Sessions of the portfolio by day, as the marts have figures."""

    def __init__(self, parts: Platform, now: datetime) -> None:
        ledger = parts.lake.scan("hour_ledger").select(JUDGED).collect()
        known = parts.sources.frame().join(parts.sources.kinds(), on="source")
        complete = judge_freshness(ledger, known, now).complete
        over = (complete + HOUR).date() if complete else date.min
        self._rows = (
            parts.lake.scan("cleaned_events")
            .filter(pl.col("p_ingest_date_utc") >= (now - 4 * DAY).date())
            .group_by(period=pl.col("event_at").dt.date())
            .agg(value=pl.col("session_id").n_unique().cast(pl.Float64))
            .collect()
            .select(
                pl.lit("sessions").alias("kpi"),
                "period",
                *(pl.lit("all").alias(name) for name in ("studio", "game", "platform")),
                "value",
                is_complete=pl.col("period") < over,
                definition_version=pl.lit("1"),
            )
        )

    def read(self, _table: str, _column: str, starts: Sequence[datetime] | None) -> pl.DataFrame:
        days = self._rows["period"] if starts is None else [start.date() for start in starts]
        return self._rows.filter(pl.col("period").is_in(list(days)))

    def last_complete(
        self, _table: str, _column: str, _before: datetime | None = None
    ) -> date | None:
        day = self._rows.filter("is_complete")["period"].max()
        return day if isinstance(day, date) else None

    def row_counts(self) -> dict[str, int]:
        return {VALUES.table: self._rows.height}

    def period_rows(self, _table: str, _column: str) -> dict[datetime, int]:
        return {}


class MonthOfFiles:
    """A platform to which hours come. `silent` and `renamed`: of which source from when to when
    nothing is sent, or no `Version`; `full`: hours in which the disk is full."""

    def __init__(
        self, home: Path, instance: dg.DagsterInstance, server: WebServer, first: datetime
    ) -> None:
        self.home, self.landing = home, home / "landing"
        self.places = Places(Platform(load_settings()), instance, {}, {})
        self.server, self.sent_until, self.done = server, first, first
        self.silent: dict[str, tuple[datetime, datetime]] = {}
        self.renamed: dict[str, tuple[datetime, datetime]] = {}
        self.full: set[datetime] = set()
        self._failing: set[tuple[str, datetime]] = set()
        self.change_database("create schema game")
        self.change_database(
            "create table game.versions as select n as id, "
            f"timestamptz '{at(10)}' + to_seconds(180 * n) as changed_at, "
            "'p' || (n % 50) as player, 'w' || (n // 2) as session, '2.0' as version "
            "from range(1920) of(n)"
        )

    @property
    def database(self) -> Path:
        """The file of the studio's database."""
        return self.home / "west.duckdb"

    def change_database(self, sql: str) -> None:
        """What the studio does to its tables."""
        with closing(duckdb.connect(str(self.database))) as con:
            con.execute("set timezone = 'UTC'")
            con.execute(sql)

    def file(self, source: str, hour: datetime) -> Path:
        """Where the file of an hour lies."""
        return self.landing / source / f"{hour:%Y/%m/%d/%H}" / "part.tsv.gz"

    def send(self, source: str, hour: datetime, *, more: int = 0) -> None:
        """The source's file of an hour comes, `more` sessions in it than there were to be."""
        lines = list(self._lines(source, hour, self._sessions(source, hour) + more))
        self.file(source, hour).parent.mkdir(parents=True, exist_ok=True)
        self.file(source, hour).write_bytes(gzip.compress("\n".join(lines).encode(), 1, mtime=0))

    def cut(self, source: str, hour: datetime) -> None:
        """The file of an hour loses its end."""
        path = self.file(source, hour)
        path.write_bytes(path.read_bytes()[:-40])

    def _sessions(self, source: str, hour: datetime) -> int:
        """More by day and at weekends, never quite the same."""
        by_day = 1 + 0.6 * math.sin((hour.hour - 10) / 24 * math.tau)
        chance = 1 + 0.03 * math.sin(hour.timestamp() / 3600 * 12.9898)
        weekend = 1.3 if hour.weekday() >= 5 else 1
        return round(LINES[source] / 2 * by_day * weekend * chance)

    def _lines(self, source: str, hour: datetime, sessions: int) -> Iterable[str]:
        name = "AppVersion" if _within(self.renamed.get(source), hour) else "Version"
        for number in range(sessions):
            stamp = f"{hour + number * timedelta(seconds=20):%Y-%m-%dT%H:%M:%S}.000+0000"
            session = f"{source}{hour:%m%d%H}{number}"
            start = f"{{'Name': 'SessionStart', 'PlayerId': p{number}, 'Platform': pc}}"
            version = f"{{'Name': 'SoftwareVersion', '{name}': 1.22, 'Device': deck}}"
            for transaction, body in enumerate((start, version)):
                yield f"Telemetry\t{stamp}\t{source}App\t{session}\t{transaction}\t{body}"

    def send_until(self, now: datetime) -> None:
        """All files of hours that are over by `now` come."""
        while self.sent_until + HOUR <= now:
            for source in LINES:
                if not _within(self.silent.get(source), self.sent_until):
                    self.send(source, self.sent_until)
            self.sent_until += HOUR

    def run(self, hours: Sequence[datetime]) -> None:
        """A run of these hours: steps, their checks, what was published of them."""
        parts = self.places.parts
        lake = parts.lake
        self._work(RawStep.of(parts), lambda some: check_raw(lake, some), hours)
        if any(at(10) <= hour < at(15) for hour in hours):
            with closing(CaptureStep.of(parts)) as step:

                def check(some: Sequence[datetime]) -> Sequence[HourCheck]:
                    drifts = list(step.drifts.values())
                    return [
                        *check_studios(lake, some, drifts, step.notices),
                        *check_reads(lake, step.take_mended(), drifts),
                    ]

                self._work(step, check, hours)
        limit = parts.settings.quarantine_share_threshold
        self._work(EventsStep.of(parts), lambda some: check_events(lake, some, limit), hours)

    def _work(self, step: HourStep, evaluate: Evaluate, hours: Sequence[datetime]) -> None:
        run = step.run

        def on_a_disk(some: Sequence[datetime]) -> object:
            if self.full.intersection(some):
                raise OSError(errno.ENOSPC, "No space left on device")
            return run(some)

        with patch.object(step, "run", on_a_disk):
            parts = list(work_and_check(self.places.parts.lake, step, evaluate, hours, 10**9))
        checks = [check for part in parts for check in part.checks]
        failing = {(c.spec.name, c.hour) for c in checks if not c.passed} | self._failing
        told = [check for check in checks if (check.spec.name, check.hour) in failing]
        if told:
            self._failing = failing
            self._report(told)

    def _report(self, checks: Sequence[HourCheck]) -> None:
        """As a run reports what it found."""

        @dg.op
        def evaluate(context: dg.OpExecutionContext) -> None:
            for check in checks:
                context.log_event(
                    dg.AssetCheckEvaluation(
                        asset_key=dg.AssetKey(check.spec.table),
                        check_name=check.spec.name,
                        passed=check.passed,
                        severity=dg.AssetCheckSeverity.WARN,
                        metadata=dict(check.figures),
                        partition=key_of(check.hour),
                    )
                )

        @dg.job
        def evaluating() -> None:
            evaluate()

        evaluating.execute_in_process(instance=self.places.instance)

    def publish(self, now: datetime, *changed: datetime) -> None:
        """The figures of the last days are published; `changed`: the hours that were run again."""
        lake = self.places.parts.lake
        marts: Marts = _SessionsByDay(self.places.parts, now)
        days = [(now - n * DAY).replace(hour=0, minute=0) for n in range(4)]
        starts = {VALUES.table: days}
        hours = {"ingest_hour": list(changed), "date": [hour.date() for hour in changed]}
        schema = {"ingest_hour": pl.Datetime("us", "UTC"), "date": pl.Date}
        moment = moment_of_entries(lake, VALUES.table, now)
        restate(lake, marts, VALUES, starts, pl.DataFrame(hours, schema=schema), moment)
        publish(lake, marts, [VALUES], starts, stamps=stamps_of(moment, 1))

    def goes_on(self, now: datetime, *again: datetime, is_stopped: bool = False) -> None:
        """Files come; every hour that is over by `now` is run, and those that changed (`again`);
        the hourly checks look; a pass is made. `is_stopped`: no run, and no look."""
        self.send_until(now)
        if not is_stopped:
            self._runs(now, *again)
        alert_round(self.places, now)

    def _runs(self, now: datetime, *again: datetime) -> None:
        new = [self.done + n * HOUR for n in range((self.sent_until - self.done) // HOUR)]
        self.done = self.sent_until
        if new or again:
            self.run(sorted({*new, *again}))
            self.publish(now, *again)
        platform = PlatformResource()
        for asset, check in (
            ("hour_ledger", sources_send_as_much_as_usual),
            ("cleaned_events", services_send_what_they_sent),
        ):
            found = check(platform=platform)
            assert isinstance(found, dg.AssetCheckResult)
            evaluation = dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset),
                check_name=check.check_key.name,
                passed=found.passed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=found.metadata,
            )
            self.places.instance.report_runless_asset_event(evaluation)

    def told(self) -> set[Told]:
        """What was told since this was last asked: the event, and what it is about. Fails if
        anything was told twice."""
        said = []
        for _, _, body in self.server.requests:
            kind = body["link"].rpartition("#")[2]
            said.append((body["event"], f"{kind} {body['facts'].get('source', '')}".strip()))
        self.server.requests.clear()
        assert len(set(said)) == len(said), said
        return set(said)


def _within(span: tuple[datetime, datetime] | None, hour: datetime) -> bool:
    return span is not None and span[0] <= hour < span[1]
