"""The `kpi reports` commands: who gets the daily report.

Belongs here: arguments, messages and exit codes. Does not: what a report says, and when it leaves
(`reports`).
"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from kpi_platform.cli.older_lakes import name_other_layout
from kpi_platform.cli.terminal import print_table, say, say_json
from kpi_platform.cli.typed_hours import typed_instant
from kpi_platform.engine.layout import refuse_other_layout
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings

reports_app = typer.Typer(help="Who gets the daily report.", no_args_is_help=True)
_JSON = typer.Option("--json", help="Print JSON.")
_AT = typer.Option("--at", help="The time that it is; default: the clock's. UTC if no offset.")
_ADDRESS = typer.Argument(metavar="ADDRESS", help="Mail address.")


@reports_app.command(epilog="Example: kpi reports subscribe ann@studios.example --studio north")
def subscribe(
    address: Annotated[str, _ADDRESS],
    studio: Annotated[str, typer.Option(help="Only this studio's report.")] = "all",
    at: Annotated[str | None, _AT] = None,
) -> None:
    """Send the daily report to a mail address from the next one on.

    Without `reports` and `email_service` in KPI_ALERTS nothing can leave, which is said. Exit code
    0, also if it was subscribed; 2: bad input.
    """
    from kpi_platform.alerts.alert_pass import ALERTS_LOCK
    from kpi_platform.alerts.alert_round import read_alerts
    from kpi_platform.reports.recipients import subscribe
    from kpi_platform.storage.lake.locks import lake_lock

    _check(address)
    platform = Platform(load_settings())
    refuse_other_layout(platform.lake)
    studios = {"all", "unassigned", *(each.key for each in platform.sources.studios)}
    if studio not in studios:
        raise typer.BadParameter(f"--studio {studio!r}: KPI_SOURCES names no such studio")
    alerts = read_alerts(platform)
    with lake_lock(platform.lake.uri, ALERTS_LOCK):
        is_new = subscribe(platform.lake, address, studio, _now(at))
    of = "" if studio == "all" else f" of {studio}"
    say(f"{address} {'gets' if is_new else 'already gets'} the daily report{of}")
    lacking = [name for name in ("reports", "email_service") if getattr(alerts, name) is None]
    if lacking:
        said = f"kpi: nothing is sent before KPI_ALERTS has {' and '.join(lacking)}"
        say(said, err=True, level="warning")


@reports_app.command(epilog="Example: kpi reports unsubscribe ann@studios.example")
def unsubscribe(address: Annotated[str, _ADDRESS], at: Annotated[str | None, _AT] = None) -> None:
    """Send a mail address no report any more, whoever subscribed it; what waits for it is dropped.

    It stays off, even if KPI_ALERTS names it, until it is subscribed again. Exit code 0, also if it
    got none; 2: bad input.
    """
    from kpi_platform.alerts.alert_pass import ALERTS_LOCK
    from kpi_platform.alerts.alert_round import read_alerts
    from kpi_platform.reports.recipients import unsubscribe
    from kpi_platform.storage.lake.locks import lake_lock

    _check(address)
    platform = Platform(load_settings())
    refuse_other_layout(platform.lake)
    alerts = read_alerts(platform)
    with lake_lock(platform.lake.uri, ALERTS_LOCK):
        left = unsubscribe(platform.lake, alerts.reports, address, _now(at))
    if left:
        say(f"{address} gets no report any more; it got: {', '.join(left)}")
    else:
        say(f"{address} gets no report")


@reports_app.command("list", epilog="Example: kpi reports list --json")
def list_recipients(as_json: Annotated[bool, _JSON] = False) -> None:
    """List who gets which report: those whom KPI_ALERTS names, and those who subscribed.

    Exit code 0; 2: bad input.
    """
    from kpi_platform.alerts.alert_round import read_alerts
    from kpi_platform.reports.recipients import addressees, read_subscriptions
    from kpi_platform.reports.report_settings import Reports

    platform = Platform(load_settings())
    name_other_layout(platform.lake)
    # Whoever subscribed is shown, too, before the file names an operator.
    reports = read_alerts(platform).reports or Reports(operator="nobody@localhost")
    found = addressees(reports, read_subscriptions(platform.lake))
    if as_json:
        say_json([vars(each) for each in found])
    elif found:
        print_table(["report", "to", "address"], [(e.report, e.route, e.address) for e in found])
    else:
        say("nobody gets a report")


def _check(address: str) -> None:
    from kpi_platform.delivery.destinations import checked_address

    try:
        checked_address(address)
    except ValueError as error:
        raise typer.BadParameter(f"ADDRESS {error}") from None


def _now(at: str | None) -> datetime:
    return datetime.now(UTC) if at is None else typed_instant(at)
