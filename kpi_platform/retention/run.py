"""One run of retention: days are sealed, then rows go that are older than they are kept.

Belongs here: the order, and what a run says. Does not: which days and hours (`sealing.py`,
`lines.py`), and how rows go (`dropping.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kpi_platform.engine.books.kept_days import open_days
from kpi_platform.engine.books.seals import seal_days
from kpi_platform.engine.platform import Platform
from kpi_platform.retention.dropping import drop_lines
from kpi_platform.retention.emptying import empty_hours, keep_days
from kpi_platform.retention.events import Events, plan_events
from kpi_platform.retention.lines import Lines, plan_lines
from kpi_platform.retention.sealing import Sealing, Waiting, plan_sealing
from kpi_platform.storage.lake.lake import LakeError
from kpi_platform.storage.lake.locks import lake_lock

HOURS_AT_A_TIME = 240
_LOCK = "retention"

Progress = Callable[[str, int, int], None]


class RetentionError(LakeError):
    """There is no limit to run by; the message is one line."""


@dataclass
class Retention:
    """What a run does, or did: the days it seals, the hours whose lines go, and what becomes of
    events, if they are not kept for ever."""

    keep_days: int
    sealing: Sealing
    lines: Lines
    events: Events | None = None

    @property
    def waiting(self) -> list[Waiting]:
        """What is waited for, hour by hour: days that wait are waited for by the hours in them."""
        by_hour = {
            item.hour: item for item in self.lines.waiting if item.reason != "days not sealed"
        }
        by_hour |= {item.hour: item for item in self.sealing.waiting}
        return [by_hour[hour] for hour in sorted(by_hour)]

    @property
    def held_back(self) -> int:
        """Hours old enough whose lines stay until more days are sealed."""
        return sum(item.reason == "days not sealed" for item in self.lines.waiting)


def plan_retention(platform: Platform, at: datetime) -> Retention:
    """What a run at the time `at` would do; nothing changes.

    Raises RetentionError if no setting limits how long rows are kept.
    """
    days = platform.settings.keep_lines_days
    if days is None:
        raise RetentionError("KPI_KEEP_LINES_DAYS is not set: all rows are kept for ever")
    sealing = plan_sealing(platform, timedelta(days=days), at)
    found = Retention(days, sealing, plan_lines(platform, {*sealing.sealed, *sealing.days}))
    keep_events = platform.settings.keep_events_days
    if keep_events is not None:
        found.events = plan_events(platform, keep_events, sealing, found.lines.hours)
    return found


def run_retention(platform: Platform, at: datetime, progress: Progress) -> Retention:
    """Seal days and take lines away, as `plan_retention` says; what was done.

    A run that is killed is completed by the next. `progress` gets a stage, hours done and of how
    many.
    """
    with lake_lock(platform.lake.uri, _LOCK):
        # What a run that was killed had closed.
        open_days(platform.lake)
        found = plan_retention(platform, at)
        # First of all: from now on no line of these days is taken.
        seal_days(platform.lake, found.sealing.days, at)
        busy: set[datetime] = set()
        done = 0
        for hours in _pieces(found.lines.hours):
            rows = {hour: found.lines.hour_rows[hour] for hour in hours}
            busy.update(drop_lines(platform, rows))
            done += len(hours)
            progress("hours without their lines", done, len(found.lines.hours))
        found.lines.hours = [hour for hour in found.lines.hours if hour not in busy]
        found.lines.waiting += [Waiting(hour, "a run is working on it") for hour in sorted(busy)]
        if found.events is not None:
            found.events = _let_events_go(platform, found, at, progress)
    return found


def _let_events_go(
    platform: Platform, found: Retention, at: datetime, progress: Progress
) -> Events | None:
    """Keep what is made of the days that can be kept, then take their events away."""
    events = found.events
    if events is not None and events.next is not None:
        # Asked again: lines may have stayed, or come.
        events = plan_events(platform, events.keep_days, found.sealing, ())
        if events.next is not None:
            reason = keep_days(platform, events.next, events.kept, at)
            if reason:
                events = plan_events(platform, events.keep_days, found.sealing, ())
                events.next, events.reason, events.hour_rows = None, reason, {}
    if events is not None:
        empty_hours(platform, events, progress)
    return events


def _pieces(hours: Sequence[datetime]) -> Iterator[Sequence[datetime]]:
    for start in range(0, len(hours), HOURS_AT_A_TIME):
        yield hours[start : start + HOURS_AT_A_TIME]
