"""The `kpi alerts` commands: one pass of finding and telling incidents, and what is open.

Belongs here: arguments, messages and exit codes. Does not: what an incident is (`alerts`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from kpi_platform.cli.older_lakes import name_other_layout
from kpi_platform.cli.terminal import say, say_json, say_lines
from kpi_platform.cli.typed_hours import typed_instant
from kpi_platform.engine.layout import refuse_other_layout
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings

if TYPE_CHECKING:
    from kpi_platform.alerts.alert_pass import Places

alerts_app = typer.Typer(
    help="What is wrong, said once per cause, and to whom.",
    no_args_is_help=True,
)
_JSON = typer.Option("--json", help="Print JSON.")
_AT = typer.Option("--at", help="The time that it is; default: the clock's. UTC if no offset.")
_LONGEST_HOURS = 60


@alerts_app.command(epilog="Example: kpi alerts run --at 2026-01-02T06:00:00Z")
def run(
    at: Annotated[str | None, _AT] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Find incidents, and tell them as the policies of KPI_ALERTS say: one pass, as the sensor's.

    Finding needs no policies. Exit code 0, whatever was found; 2: bad input.
    """
    from kpi_platform.alerts.alert_round import alert_round

    now = _now(at)
    with _places() as places:
        done = alert_round(places, now)
    if as_json:
        say_json(done.figures())
        return
    for line in done.lines():
        say(line)


@alerts_app.command("list", epilog="Example: kpi alerts list --all --json")
def list_incidents(
    everything: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List the open incidents, the newest first: what happened, since when, and what mends it.

    As the passes found them; nothing is looked at anew. Exit code 0.
    """
    lake = Platform(load_settings()).lake
    name_other_layout(lake)
    rows = lake.scan("incidents")
    chosen = rows if everything else rows.filter(pl.col("resolved_at").is_null())
    found = chosen.sort("opened_at", "incident_id", descending=[True, False]).collect()
    if as_json:
        say_json(found.to_dicts(), default=_as_text)
        return
    if found.is_empty():
        say("no incident is open" if not everything else "there was no incident yet")
        return
    for row in found.iter_rows(named=True):
        say(" ".join(_heading(row)))
        say(f"    {row['cause']}")
        say_lines("\n".join(f"    -> {line}" for line in str(row["mend"]).splitlines()))


def _heading(row: Mapping[str, object]) -> Iterator[str]:
    """What an incident is, in a line; `--json` has all of its hours."""
    yield f"{row['incident_id']}  {row['severity']:<5}  {row['kind']}"
    if row["source"]:
        yield f"of {row['source']}"
    hours = str(row["hours"])
    if hours:
        yield f"{hours[:_LONGEST_HOURS]}{' ...' if len(hours) > _LONGEST_HOURS else ''}"
    yield f"since {row['opened_at']:%Y-%m-%d %H:%M} UTC"
    if row["resolved_at"]:
        yield f"until {row['resolved_at']:%Y-%m-%d %H:%M} UTC"


@alerts_app.command(epilog="Example: kpi alerts ack 3f2a90c1d4")
def ack(
    incident: Annotated[str, typer.Argument(help="Id of the incident.")],
    at: Annotated[str | None, _AT] = None,
) -> None:
    """Take note of an incident: a fact is closed, of anything else nothing more is said until it
    is right again.

    Exit code 2 if there is no such incident.
    """
    from kpi_platform.alerts.alert_pass import UnknownIncidentError, acknowledge_incident

    now = _now(at)
    try:
        after = acknowledge_incident(Platform(load_settings()), incident, now)
    except UnknownIncidentError as error:
        raise typer.BadParameter(str(error)) from None
    said = (
        "is acknowledged; it stays open until it is right again" if after.is_open else "is closed"
    )
    if after.resolved_at is not None and after.resolved_at < now:
        said = f"is closed, since {after.resolved_at:%Y-%m-%d %H:%M} UTC already"
    say(f"{after.incident_id} {said}")


@alerts_app.command(epilog="Example: kpi alerts test")
def test(
    as_json: Annotated[bool, _JSON] = False,
    at: Annotated[str | None, _AT] = None,
) -> None:
    """Send a message to every recipient of every policy of KPI_ALERTS, and the newest daily report,
    marked as a trial, to everybody who gets it; say what happened.

    Exit code 0 if all were taken, 1 if not, 2: bad input, or nobody to send to.
    """
    from kpi_platform.alerts.alert_round import read_alerts, try_out
    from kpi_platform.reports.report_trial import try_reports

    platform, now = Platform(load_settings()), _now(at)
    alerts = read_alerts(platform)
    if not alerts.enabled and alerts.reports is None:
        raise typer.BadParameter("KPI_ALERTS names no policy that is enabled, and no reports")
    done = list(try_out(alerts, now))
    if alerts.reports is not None:
        done += try_reports(platform, alerts.reports, alerts.email_service, now)
    if as_json:
        names = ("policy", "recipient", "error")
        say_json([dict(zip(names, each, strict=True)) for each in done])
    else:
        for policy, recipient, error in done:
            say(f"{policy} {recipient}".strip() + (f": failed: {error}" if error else ": taken"))
    if any(error for _, _, error in done):
        raise typer.Exit(1)


@contextmanager
def _places() -> "Iterator[Places]":
    from kpi_platform.alerts.sensors import places_of
    from kpi_platform.definitions import defs
    from kpi_platform.orchestration.dagster_state import open_instance

    platform = Platform(load_settings())
    refuse_other_layout(platform.lake)
    with open_instance() as instance:
        yield places_of(platform, instance, defs.resolve_asset_graph())


def _now(at: str | None) -> datetime:
    return datetime.now(UTC) if at is None else typed_instant(at)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
