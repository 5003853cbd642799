"""A sample of the daily report to each of its recipients, which only shows that it arrives.

Belongs here: what the sample is. Does not: who is asked to be told (`cli`).

It is the newest report that was written down, as it was, or a line where none was yet: nothing is
made, kept or counted as sent.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from kpi_platform.delivery.destinations import MailService
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.mail import BESIDE
from kpi_platform.delivery.messages import Letter, Message
from kpi_platform.delivery.senders import send
from kpi_platform.engine.platform import Platform
from kpi_platform.reports.recipients import (
    Addressee,
    addressees,
    read_subscriptions,
    report_routes,
)
from kpi_platform.reports.report_making import letter_of
from kpi_platform.reports.report_settings import Reports
from kpi_platform.reports.report_tables import read_newest_report

_SAID = "A trial: somebody typed `kpi alerts test`. What follows is the newest report."
_NONE = "A trial: somebody typed `kpi alerts test`. No report was written yet."


def try_reports(
    parts: Platform, reports: Reports, mail: MailService | None, at: datetime
) -> Iterator[tuple[str, str, str]]:
    """Send a sample to everybody who gets a report, past the outbox: which report, recipient, and
    what went wrong, blank if nothing did."""
    subscriptions = read_subscriptions(parts.lake)
    routes = report_routes(reports, mail, subscriptions)
    for each in addressees(reports, subscriptions):
        route = routes[each.route]
        message, letter = _sample(parts, reports, each, at)
        try:
            send(route.service, route.mail, each.address, message, "", letter)
        except DeliveryError as error:
            yield f"report {each.report}", each.address, str(error)
        else:
            yield f"report {each.report}", each.address, ""


def _sample(
    parts: Platform, reports: Reports, to: Addressee, at: datetime
) -> tuple[Message, Letter | None]:
    row = read_newest_report(parts.lake, to.report)
    # A thread of its own: nobody must take it for one of the reports.
    trial = f"test-report-{at:%Y%m%d%H%M%S}"
    message = Message(
        f"{trial}-{to.route}-{to.address}",
        trial,
        "test",
        "A trial of the daily report",
        f"Trial: daily KPI report ({to.report})",
        _NONE,
        (("report", to.report),),
        severity="ok",
    )
    if row is None:
        return message, None
    told = replace(
        message, subject=f"Trial: {row['subject']}", text="\n\n".join([_SAID, str(row["text"])])
    )
    letter = letter_of(row, reports.operator)
    return told, replace(letter, page=_marked(letter.page))


def _marked(page: str) -> str:
    head, body, rest = page.partition("<body")
    tag, end, inside = rest.partition(">")
    return (
        f"{head}{body}{tag}{end}<p style='{BESIDE}'>{_SAID}</p>{inside}" if body and end else page
    )
