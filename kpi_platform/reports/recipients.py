"""Who gets which report: those whom the file names, those who subscribed, without those who left.

Belongs here: the table `report_recipients`, and putting both together. Does not: sending.

An address that left gets nothing, whatever the file says, until it is subscribed again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kpi_platform.delivery.destinations import Email, MailService, Service
from kpi_platform.delivery.outbox import Route, drop_waiting
from kpi_platform.reports.report_settings import ALL, Reports
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, named

TABLE = "report_recipients"
# The route of those who subscribed; those of the file have names that begin otherwise.
SUBSCRIBED = "reports"
EVENT = "report"


@dataclass(frozen=True)
class Subscription:
    """An address (in small letters) and a report: whether it asked for it, or for no more of it."""

    address: str
    report: str
    written_as: str
    is_subscribed: bool
    changed_at: datetime


@dataclass(frozen=True)
class Addressee:
    """One message's receiver: `address` is blank where a service has one receiver."""

    route: str
    address: str
    report: str


def read_subscriptions(lake: Lake) -> list[Subscription]:
    """Everybody who ever subscribed or left, in order."""
    rows = lake.scan(TABLE).sort("address", "report").collect()
    return [Subscription(**row) for row in rows.iter_rows(named=True)]


def addressees(reports: Reports, subscriptions: Sequence[Subscription]) -> list[Addressee]:
    """Everybody who gets a report, of an address and report one, in the order of the file."""
    left = {(s.address, s.report) for s in subscriptions if not s.is_subscribed}
    # Who left all gets none that the file names later either, unless it asked for it.
    gone = {address for address, report in left if report == ALL}
    asked = {(s.address, s.report) for s in subscriptions if s.is_subscribed}
    addressed: dict[tuple[str, str, str], Addressee] = {}
    for recipient in reports.recipients:
        service = recipient.notification_service
        for address in service.recipients():
            key = (address.lower(), recipient.studio)
            if not address or key in asked or not (key in left or key[0] in gone):
                # A channel is known by its recipient's name, an address by itself.
                of = (*key, "" if address else recipient.name)
                addressed.setdefault(of, Addressee(recipient.route, address, recipient.studio))
    for each in subscriptions:
        if each.is_subscribed:
            of = (each.address, each.report, "")
            addressed.setdefault(of, Addressee(SUBSCRIBED, each.written_as, each.report))
    return list(addressed.values())


def report_routes(
    reports: Reports, mail: MailService | None, subscriptions: Iterable[Subscription]
) -> dict[str, Route]:
    """How reports leave, by the name of the route."""
    routes = {r.route: Route(r.notification_service, mail) for r in reports.recipients}
    addresses = tuple(s.written_as for s in subscriptions if s.is_subscribed)
    if addresses:
        routes[SUBSCRIBED] = Route(Service(email=Email(email_addresses=addresses)), mail)
    return routes


def subscribe(lake: Lake, address: str, report: str, at: datetime) -> bool:
    """Note that an address wants a report; False, and nothing is written, if it is noted. To be
    called under the lock of the messages, as `unsubscribe`."""
    key = (address.lower(), report)
    before = {(s.address, s.report): s for s in read_subscriptions(lake)}
    if key in before and before[key].is_subscribed:
        return False
    _note(lake, [Subscription(*key, address, is_subscribed=True, changed_at=at)])
    return True


def unsubscribe(lake: Lake, reports: Reports | None, address: str, at: datetime) -> list[str]:
    """Note that an address wants no report, and drop what waits for it. Returns the reports that
    it got."""
    subscriptions = read_subscriptions(lake)
    file = reports or Reports(operator=address)
    got = [a for a in addressees(file, subscriptions) if a.address.lower() == address.lower()]
    named = {recipient.studio for recipient in file.recipients}
    leaving = {ALL, *named, *(s.report for s in subscriptions if s.address == address.lower())}
    _note(lake, [Subscription(address.lower(), r, address, False, at) for r in sorted(leaving)])
    drop_waiting(lake, address, EVENT, "its recipient left")
    return sorted({each.report for each in got})


def _note(lake: Lake, subscriptions: Sequence[Subscription]) -> None:
    """Write down what one address asked for; its other reports stay as they are."""
    address = subscriptions[0].address
    kept = {s.report: s for s in read_subscriptions(lake) if s.address == address}
    after = [vars(each) for each in (kept | {s.report: s for s in subscriptions}).values()]
    rows = pl.DataFrame(after, schema=TABLES[TABLE].polars_schema, orient="row")
    lake.replace(TABLE, rows, named("address", [address]))
