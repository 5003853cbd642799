"""What a backfill of some hours would do: which hours need work and why, bytes, seconds, figures.

Belongs here: asking the books and the landing zone, hours of a day at a time. Does not: doing the
work (`pieces.py`), and what a person reads of it (cli).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Literal, get_args

import dagster as dg
import polars as pl

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.arrivals.watching.arrivals_watch import hours_that_ran
from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry, read_state
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.books.file_ledger import REFUSED, held_files
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.books.hour_ledger import errors_of_failed_hours
from kpi_platform.engine.hour_steps import HourStep
from kpi_platform.engine.platform import Platform
from kpi_platform.engine.table_order import STEPS
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.orchestration.partitions import HOUR
from kpi_platform.published.restatements import REACH
from kpi_platform.storage.lake.lake import Lake, hours_in, hours_of
from kpi_platform.storage.landing.landing import LandingFile

Reason = Literal["never run", "failed", "changed", "stale", "held", "sealed"]
"""`changed`: files are new or others than those that were read; `stale`: a table was made from what
is before it under other settings or by another version of its step, or was not brought up to date;
`held`: files are gone, their lines stay; `sealed`: files came in place of others to an hour whose
lines are gone, and were refused."""
REASONS: tuple[Reason, ...] = get_args(Reason)
# Of these alone nothing follows: they are named.
NO_WORK: tuple[Reason, ...] = ("held", "sealed")
HOURS_AT_A_TIME = 24
# As many of an asset's last hours tell how long an hour takes.
_TELLING = 50


@dataclass(frozen=True)
class PlannedHour:
    """An hour that needs work, or of which something has to be known, the bytes of its files, and
    in words what stands behind the reason."""

    hour: datetime
    reason: Reason
    bytes: int = 0
    error: str = ""

    @property
    def needs_work(self) -> bool:
        """Whether a run of the hour would do anything."""
        return self.reason not in NO_WORK


@dataclass
class Plan:
    """What the hours from `first` to `last` (both included) need.

    `seconds`: roughly, from what hours took before; None if none was recorded. `figures`: values
    that are published as complete and whose days the work may touch, from `figures_from` to
    `figures_to`.
    """

    first: datetime
    last: datetime
    hours: list[PlannedHour] = field(default_factory=list)
    seconds: float | None = None
    figures: int = 0
    figures_from: date | None = None
    figures_to: date | None = None

    @property
    def work(self) -> list[datetime]:
        """The hours to run, in order."""
        return [item.hour for item in self.hours if item.needs_work]

    @property
    def bytes(self) -> int:
        """Bytes of the files of the hours to run."""
        return sum(item.bytes for item in self.hours if item.needs_work)

    def counts(self) -> dict[str, int]:
        """Hours by reason, those without any left out."""
        counts = {reason: sum(i.reason == reason for i in self.hours) for reason in REASONS}
        return {reason: count for reason, count in counts.items() if count}


def plan_backfill(
    platform: Platform,
    first: datetime,
    last: datetime,
    instance: dg.DagsterInstance | None = None,
) -> Plan:
    """Look at these hours (both included) without changing anything.

    What lies in studios' warehouses is not asked: a run looks for it itself. `instance` tells how
    long hours took. Raises LandingError or LakeError if a place cannot be read.
    """
    plan = Plan(first, last)
    start = max(first, platform.settings.start_hour)
    every = [start + n * HOUR for n in range(max((last - start) // HOUR + 1, 0))]
    for at in range(0, len(every), HOURS_AT_A_TIME):
        plan.hours += _planned(platform, every[at : at + HOURS_AT_A_TIME])
    if plan.work:
        if instance is not None:
            rate = seconds_of_an_hour(instance)
            plan.seconds = None if rate is None else rate * len(plan.work)
        _add_figures(platform.lake, plan)
    return plan


def _planned(platform: Platform, hours: Sequence[datetime]) -> list[PlannedHour]:
    ledger = platform.lake.read_hours("hour_ledger", hours)
    ran = hours_that_ran(ledger)
    failed = errors_of_failed_hours(platform.lake, hours)
    changed, sizes = _changed(platform, hours)
    held = hours_in(held_files(platform.lake, (hours[0], hours[-1])))
    reasons: dict[datetime, Reason] = dict.fromkeys(held, "held")
    refused = _refused(platform.lake, hours)
    reasons |= dict.fromkeys(refused, "sealed")
    unchanged = [hour for hour in hours if hour in ran and hour not in changed]
    reasons |= dict.fromkeys(_stale(platform, unchanged), "stale")
    reasons |= dict.fromkeys(changed, "changed")
    reasons |= dict.fromkeys(failed, "failed")
    reasons |= {hour: "never run" for hour in hours if hour not in ran and hour not in failed}
    errors = refused | failed
    return [
        PlannedHour(hour, reasons[hour], sizes.get(hour, 0), errors.get(hour, ""))
        for hour in hours
        if hour in reasons
    ]


def _refused(lake: Lake, hours: Sequence[datetime]) -> dict[datetime, str]:
    """The hours whose lines are gone, and to which files came in place of others: which."""
    files = lake.read_hours("file_ledger", hours).filter(pl.col("state") == REFUSED).sort("path")
    return {
        hour: f"refused: {', '.join(part['path'])}"
        for hour, part in hours_of(files, hours).items()
        if part.height
    }


def _changed(
    platform: Platform, hours: Sequence[datetime]
) -> tuple[set[datetime], dict[datetime, int]]:
    """The hours whose files are not those that were read, and the bytes of each hour's files."""
    changed: set[datetime] = set()
    sizes: dict[datetime, int] = dict.fromkeys(hours, 0)
    for what in (Telemetry(platform), Feeds(platform)):
        files: dict[datetime, list[LandingFile]] = {hour: [] for hour in hours}
        for folder in what.folders:
            for hour, listed in what.landing.list_hours(folder, hours).items():
                files[hour] += listed
        files = {hour: listed for hour, listed in files.items() if listed}
        fingerprints = {hour: what.fingerprint(listed) for hour, listed in files.items()}
        read = read_state(platform, what, files, fingerprints, hours)
        changed |= {
            hour for hour, value in fingerprints.items() if value and value != read.get(hour)
        }
        for hour, listed in files.items():
            sizes[hour] += sum(file.size for file in listed if not what.why_not(file))
    return changed, sizes


def _stale(platform: Platform, hours: Sequence[datetime]) -> set[datetime]:
    """The hours of which a table consumed something else than what is there now."""
    steps: tuple[HourStep, ...] = (
        RawStep.of(platform),
        ConsoleStep.of(platform),
        StreamStep.of(platform),
        EventsStep.of(platform),
        SessionsStep.of(platform),
        HistoryStep.of(platform),
    )
    found: set[datetime] = set()
    for step in steps:
        left = [hour for hour in hours if hour not in found]
        if left:
            inputs = step.inputs(left)
            consumed = read_consumed(platform.lake, step.table, left)
            found |= {
                hour
                for hour, value in inputs.items()
                if hour not in consumed or consumed[hour].input != value
            }
    return found


def seconds_of_an_hour(instance: dg.DagsterInstance) -> float | None:
    """What an hour took of late, all hourly assets together; None if none was recorded."""
    medians = [_median_seconds(instance, name) for name in STEPS]
    measured = [seconds for seconds in medians if seconds is not None]
    return sum(measured) if measured else None


def _median_seconds(instance: dg.DagsterInstance, name: str) -> float | None:
    records = instance.fetch_materializations(dg.AssetKey(name), limit=_TELLING).records
    seconds = [value for record in records if (value := _seconds(record)) is not None]
    return median(seconds) if seconds else None


def _seconds(record: dg.EventLogRecord) -> float | None:
    event = record.asset_materialization
    values: Mapping[str, dg.MetadataValue] = event.metadata if event else {}
    is_idle = bool(values["unchanged"].value) if "unchanged" in values else False
    return None if is_idle or "seconds" not in values else float(str(values["seconds"].value))


def _add_figures(lake: Lake, plan: Plan) -> None:
    """Count the complete figures of the days that the work may touch.

    Events may be older than their hour, and figures look back and ahead: what an hour held says
    its days, and of an hour that is not known its own day stands in.
    """
    values = lake.published("kpi_values")
    work = plan.work
    ledger = lake.read_hours("hour_ledger", work)
    least, greatest = ledger["min_event_at"].min(), ledger["max_event_at"].max()
    event_days = [at.date() for at in (least, greatest) if isinstance(at, datetime)]
    days = [work[0].date(), work[-1].date(), *event_days]
    plan.figures_from, plan.figures_to = min(days) - REACH, max(days) + REACH
    if values is not None:
        complete_values = values.filter(
            pl.col("is_complete"), pl.col("period").is_between(plan.figures_from, plan.figures_to)
        )
        plan.figures = int(complete_values.select(pl.len()).collect().item())


def pieces_of(hours: Sequence[datetime], longest: timedelta) -> Iterator[list[datetime]]:
    """Neighbouring hours as lists, none longer than `longest`."""
    piece: list[datetime] = []
    for hour in sorted(hours):
        if piece and (hour - piece[-1] != HOUR or hour - piece[0] >= longest):
            yield piece
            piece = []
        piece.append(hour)
    if piece:
        yield piece
