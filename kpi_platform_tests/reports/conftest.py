"""A small platform whose published tables are written by hand, with servers that take messages."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from kpi_platform.alerts.alert_pass import Places
from kpi_platform.alerts.alert_round import Round, alert_round
from kpi_platform.engine.books.hour_ledger import empty_rows, write_ledger
from kpi_platform.engine.platform import Platform
from kpi_platform.published.publish import stamps_of
from kpi_platform.published.restatements import KPI_RESTATEMENTS, RESTATEMENTS_SCHEMA
from kpi_platform.settings import load_settings
from kpi_platform_tests.delivery.loopback import MailServer, WebServer, mail_server, web_server
from kpi_platform_tests.published.pages.page_world import GRAINS, HOSTILE, daily

# The day that is told of first; the newest of `daily()`.
DAY = date(2026, 2, 9)
DAWN = datetime(2026, 2, 10, 6, tzinfo=UTC)
NOON = DAWN.replace(hour=12)
ONE_DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SOURCES = f"""
studios:
- key: northlight
  name: 'Northlight <!channel> @here'
  games:
  - {{key: ironvale, name: Ironvale, sources: [{{key: ironvale, telemetry: ironvale}}]}}
  - {{key: {json.dumps(HOSTILE)}, sources: [{{key: odd, telemetry: odd}}]}}
- key: kumo
  games: [{{key: mochi-dash, sources: [{{key: mochi, telemetry: mochi}}]}}]
"""
ALERTS = """
reports:
  operator: ops@studios.example
  recipients:
  - name: everybody
    notification_service: {email: {email_addresses: [ann@studios.example]}}
  - name: kumo
    studio: kumo
    notification_service: {slack: {webhook_env: HOOK}}
email_service:
  from: kpi@studios.example
  smtp: {host: 127.0.0.1, port: PORT, tls: none}
"""


@dataclass
class World:
    """A platform whose days are written by hand, and what its recipients got."""

    places: Places
    mail: MailServer
    web: WebServer
    folder: Path
    rows: pl.DataFrame = field(default_factory=lambda: daily(40, GRAINS))
    moment: datetime = DAWN

    def publish(self, rows: pl.DataFrame | None = None, *restated: date) -> None:
        """Publish `kpi_daily`, with figures of these days as restated."""
        self.rows = self.rows if rows is None else rows
        lake = self.places.parts.lake
        self.moment += MINUTE
        lake.publish("kpi_daily", self.rows, None)
        entries = [("dau", day, "all", "all", "all", 1.0, 2.0, "hours", []) for day in restated]
        schema = {n: t for n, t in RESTATEMENTS_SCHEMA.items() if n != "restated_at"}
        found = pl.DataFrame(entries, schema=schema, orient="row")
        stamped = found.with_columns(restated_at=pl.lit(self.moment))
        lake.add_published(KPI_RESTATEMENTS, stamped.select(RESTATEMENTS_SCHEMA.names()))
        lake.publish("kpi_values", pl.DataFrame({"kpi": ["dau"]}), None, stamps_of(self.moment, 1))

    def changed(self, day: date, **columns: object) -> pl.DataFrame:
        """The rows with other values on a day."""
        is_day = pl.col("date") == day
        return self.rows.with_columns(
            pl.when(is_day).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
            for name, value in columns.items()
        ).cast(dict(self.rows.schema))  # type: ignore[arg-type]

    def next_day(self, day: date, *, is_complete: bool) -> pl.DataFrame:
        """The rows with a further day, as the one before it."""
        last = self.rows.filter(pl.col("date") == day - ONE_DAY)
        return pl.concat(
            [self.rows, last.with_columns(date=pl.lit(day), is_complete=pl.lit(is_complete))]
        )

    def ran(self, day: date, hours: range, *sources: str) -> None:
        """Hours of a day in which these sources delivered, the others nothing."""
        for number in hours:
            hour = datetime(day.year, day.month, day.day, number, tzinfo=UTC)
            rows = empty_rows(hour, ["ironvale", "odd", "mochi"]).with_columns(
                **{n: pl.col("source").is_in(sources).cast(pl.Int64) for n in ("files", "lines")},
                rows=pl.lit(1, pl.Int64),
            )
            write_ledger(self.places.parts.lake, rows, [hour])

    def round(self, at: datetime) -> Round:
        return alert_round(self.places, at)

    def mails(self) -> list[EmailMessage]:
        return self.mail.mails

    def alerts(self, text: str) -> None:
        written = text.replace("PORT", str(self.mail.port))
        (self.folder / "alerts.yaml").write_text(written)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> Iterator[World]:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("KPI_ALERTS", str(tmp_path / "alerts.yaml"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with mail_server(tmp_path) as mail, web_server() as web:
        monkeypatch.setenv("HOOK", f"{web.url}/hook")
        world = World(Places(Platform(load_settings()), instance, {}, {}), mail, web, tmp_path)
        world.alerts(ALERTS)
        world.ran(DAY, range(22, 24), "ironvale", "odd", "mochi")
        yield world
