"""The reports that are due are written down, then their messages. Part of the round of alerts.

Belongs here: the order. Does not: what a report says, and sending it (`delivery`).

A report is made once: what was written down is what is told, whenever a pass was killed. Its row
comes first, then what its recipients know by it, then their messages, last the mark that it was
told; each step done twice is as done once.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.messages import Letter, Message, message_of, message_text
from kpi_platform.delivery.outbox import Entry, Route, Send, read_entries, write_entries
from kpi_platform.delivery.senders import send
from kpi_platform.engine.hour_steps import error_line
from kpi_platform.engine.platform import Platform
from kpi_platform.reports.due_days import days_to_tell, deadline
from kpi_platform.reports.recipients import EVENT, Addressee
from kpi_platform.reports.report_making import (
    Known,
    is_day_whole,
    known_after,
    letter_of,
    make_report_row,
    told_in,
)
from kpi_platform.reports.report_settings import ALL, Reports
from kpi_platform.reports.report_tables import (
    read_days,
    read_report,
    write_report,
    write_told,
)
from kpi_platform.storage.kpi_database.kept_project import manifest_in_force
from kpi_platform.storage.lake.lake import Lake

# A pass is a tick of a sensor, which Dagster ends: no report is begun later than this.
_SECONDS = 15.0
_MARK = "report "


@dataclass(frozen=True)
class Desk:
    """What reports are made with: to whom they go, and the instant that it is."""

    parts: Platform
    reports: Reports
    addressees: tuple[Addressee, ...]
    at: datetime


def write_reports(desk: Desk, marks: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Write down every report that is due, with its messages; the marks that are new, each to be
    kept before the next is asked for.

    `marks`: those of earlier passes. Without time for all, the next pass goes on. What one report
    raises is raised when the others are written down.
    """
    until = time.monotonic() + _SECONDS
    failures: list[Exception] = []
    for report in sorted({each.report for each in desk.addressees}, key=lambda r: (r != ALL, r)):
        try:
            yield from _days_of(desk, report, _known(marks.get(f"{_MARK}{report}")), until)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this report's
            error.add_note(f"report {report}")
            failures.append(error)
    if failures:
        raise failures[0]


def _days_of(desk: Desk, report: str, known: Known, until: float) -> Iterator[tuple[str, str]]:
    """Write down what is due of one report, until the clock says `until`."""
    first = desk.parts.settings.start_hour.date()
    for day in days_to_tell(known.last, first, desk.at):
        if time.monotonic() > until:
            return
        row, is_new = _row(desk, report, day, known)
        if row is None:
            return
        write_told(desk.parts.lake, report, told_in(row))
        _write_messages(desk, row, is_new=is_new)
        known = known_after(row)
        yield f"{_MARK}{report}", _mark(known)


def sender(lake: Lake, operator: str) -> Send:
    """Sends any message; that of a report with the letter that was written down."""

    def send_one(route: Route, entry: Entry, thread: str) -> str:
        message, letter = message_of(entry.content), None
        if entry.event == EVENT and route.service.email is not None:
            letter = _letter(lake, dict(message.facts), operator)
        return send(route.service, route.mail, entry.recipient, message, thread, letter)

    return send_one


def _letter(lake: Lake, facts: Mapping[str, str], operator: str) -> Letter | None:
    """The letter of a report as it was written down. Raises DeliveryError if it cannot be read:
    the message is tried again as any other, and those behind it leave."""
    try:
        row = read_report(lake, facts["report"], date.fromisoformat(facts["day"]))
        return letter_of(row, operator) if row is not None else None
    except Exception as error:
        said = f"the report cannot be read: {error_line(error)}"
        raise DeliveryError(said, is_lasting=True) from error


def _row(desk: Desk, report: str, day: date, known: Known) -> tuple[Mapping[str, Any] | None, bool]:
    """The report of the day, written down; None if it is not due. And whether it is new."""
    lake = desk.parts.lake
    if (written := read_report(lake, report, day)) is not None:
        return written, False
    manifest = manifest_in_force()
    if desk.at < deadline(day, desk.reports.deadline_hour):
        rows = read_days(lake, [day])
        if not is_day_whole(desk.parts, manifest, rows, day, report):
            return None, False
    row = make_report_row(desk.parts, manifest, desk.reports, (report, day), known, desk.at)
    write_report(lake, row)
    return row, True


def _write_messages(desk: Desk, row: Mapping[str, Any], *, is_new: bool) -> None:
    due = [each for each in desk.addressees if each.report == row["report"]]
    entries = [_entry(desk, row, each) for each in due]
    if not is_new:
        written = {e.message_id for e in read_entries(desk.parts.lake, {e.thread for e in entries})}
        entries = [entry for entry in entries if entry.message_id not in written]
    write_entries(desk.parts.lake, entries)


def _entry(desk: Desk, row: Mapping[str, Any], to: Addressee) -> Entry:
    report, day = str(row["report"]), row["day"]
    thread = f"report-{_id(report)}"
    message = Message(
        _id(to.route, to.address, report, str(day)),
        thread,
        EVENT,
        "Daily KPI report",
        str(row["subject"]),
        str(row["text"]),
        (("report", report), ("day", str(day))),
        severity="ok" if row["is_complete"] else "warn",
    )
    # Of several days that leave together, the older goes first.
    written_at = desk.at + timedelta(microseconds=day.toordinal() % 1_000_000)
    return Entry(
        message.message_id,
        to.route,
        to.address,
        thread,
        EVENT,
        message_text(message),
        written_at,
        desk.at,
    )


def _known(mark: str | None) -> Known:
    if not mark:
        return Known()
    values = json.loads(mark)
    until = values["restated_until"]
    return Known(
        date.fromisoformat(values["last"]),
        tuple(date.fromisoformat(day) for day in values["waiting"]),
        datetime.fromisoformat(until) if until else None,
    )


def _mark(known: Known) -> str:
    return json.dumps(asdict(known), default=lambda each: each.isoformat())


def _id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
