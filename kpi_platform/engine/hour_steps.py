"""Works a table through hours: skips the unchanged, bounds memory, keeps failures to their hour.

Belongs here: the order of work that every hourly table shares. Does not: what a table computes.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError
from polars.exceptions import PanicException, PolarsError
from pyarrow import ArrowException

from kpi_platform.engine.books.hour_fingerprints import (
    Consumed,
    forget_consumed,
    read_consumed,
    record_consumed,
)
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.books.hour_queue import TABLE as QUEUE
from kpi_platform.engine.books.hour_queue import dequeue_hours, enqueue_hours, waiting_hours
from kpi_platform.engine.table_order import next_tables
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets
from kpi_platform.storage.lake.damage import Damages
from kpi_platform.storage.lake.lake import Lake, LakeError

# What bad data, a full disk or a lost connection raises. A bug that raises something else ends
# the run, because nothing is known about the hours after it. A damaged file may even make its
# reader panic.
FAILURES = (
    *(OSError, ValueError, PolarsError, PanicException),
    *(DeltaError, BaseError, ArrowException),
)
# What a table that is damaged in some hours raises before any hour is worked on.
_DAMAGE = (
    *(LakeError, FileNotFoundError, PolarsError, PanicException),
    *(DeltaError, ArrowException),
)


# Each hour is a partition of its own, for which a commit holds a third of a MiB.
MOST_HOURS = 720
_NO_INPUT = "the table before it lacks this hour"

Status = Literal["written", "unchanged", "failed", "left_out"]


@dataclass(frozen=True)
class Done:
    """What an hour's work wrote: a hash of the content, its rows, and figures worth showing.

    `is_unchanged`: the input looked different, but nothing had to be written.
    """

    content: str
    rows: int
    figures: Mapping[str, int] = field(default_factory=dict)
    is_unchanged: bool = False


@dataclass(frozen=True)
class HourReport:
    """What became of one hour of one table.

    `written` and `unchanged` hours are up to date; a `failed` hour has an error; a `left_out`
    hour has no input, because the table before it failed or never ran.
    """

    hour: datetime
    status: Status
    rows: int = 0
    seconds: float = 0.0
    figures: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def is_up_to_date(self) -> bool:
        """Whether the table now holds what the hour contains."""
        return self.status in ("written", "unchanged")


class HourStep(Protocol):
    """One table's hourly work.

    `hours_stand_alone`: work on an hour changes nothing that a check says of another hour.
    """

    table: str
    hours_stand_alone: bool

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """Fingerprint of each hour's input; an hour without input is absent."""

    def weight(self, hour: datetime) -> int:
        """Size of an hour's input, in the unit of the chunk limit."""

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace these hours in the table, in one commit."""

    def fail(self, hour: datetime, error: str) -> None:
        """Record that an hour failed."""


@runtime_checkable
class FoldingStep(HourStep, Protocol):
    """A step whose table is folded from a queue, which a killed run may have left behind."""

    def fold_waiting(self) -> None:
        """Fold what waits in the queue; nothing is written if nothing waits."""


def error_line(error: BaseException) -> str:
    """An error in one line: its kind and the first line of its message."""
    return hide_secrets(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


def work_through(
    lake: Lake, step: HourStep, hours: Sequence[datetime], chunk_limit: int
) -> Iterator[Sequence[HourReport]]:
    """Bring the table up to date for `hours`, in chunks of about `chunk_limit` weight and at most
    `MOST_HOURS` hours.

    Hours that wait in the table's queue come along, and on to the next table's. Yields one report
    per hour, in batches: the hours without input, each chunk as soon as it is committed and
    recorded, and at last, when everything is folded, the unchanged hours.
    """
    batches, waiting = _waiting(lake, step)
    done: set[datetime] = set()
    asked = set(hours)
    for reports in _work_through(lake, step, sorted({*asked, *waiting}), chunk_limit):
        # Unchanged ones too: a run may have been killed before it passed them on.
        done |= {report.hour for report in reports if report.is_up_to_date}
        yield [report for report in reports if report.hour in asked or report.status != "left_out"]
    if batches:
        # An hour beyond the run's own was touched.
        for table in next_tables(step.table):
            enqueue_hours(lake, table, done.intersection(waiting))
        dequeue_hours(lake, step.table, batches)


def _waiting(lake: Lake, step: HourStep) -> tuple[list[str], list[datetime]]:
    try:
        return waiting_hours(lake, step.table)
    except _DAMAGE as error:
        raise LakeError(Damages(lake).of(QUEUE, (), error) or error_line(error)) from None


def _work_through(
    lake: Lake, step: HourStep, hours: Sequence[datetime], chunk_limit: int
) -> Iterator[Sequence[HourReport]]:
    damages = Damages(lake)
    try:
        inputs, consumed = _asked(lake, step, hours)
    except _DAMAGE:
        unreadable = dict(_unreadable(lake, step, hours, damages))
        for hour, error in unreadable.items():
            with suppress(*_DAMAGE):
                # The step itself may know nothing of an hour that it could not be asked about.
                mark_failed(lake, hour, error, ())
        yield [HourReport(hour, "failed", error=error) for hour, error in unreadable.items()]
        hours = [hour for hour in hours if hour not in unreadable]
        # Once more together: a step knows the hours that it was asked for last.
        inputs, consumed = _asked(lake, step, hours)
    left_out, unchanged, changed = [], [], []
    for hour in hours:
        known = consumed.get(hour)
        if hour not in inputs:
            left_out.append(hour)
        elif known is not None and known.input == inputs[hour]:
            unchanged.append(hour)
        else:
            changed.append(hour)
    if left_out:
        yield [HourReport(hour, "left_out", error=_NO_INPUT) for hour in left_out]
    for first in range(0, len(changed), MOST_HOURS):
        for chunk in _chunks(step, changed[first : first + MOST_HOURS], chunk_limit):
            yield list(_run_chunk(lake, step, chunk, inputs, consumed, damages))
    if isinstance(step, FoldingStep):
        step.fold_waiting()
    # The work on other hours may change what these hold: nothing is said of them before it is done.
    for chunk in _chunks(step, unchanged, chunk_limit):
        yield [HourReport(hour, "unchanged", consumed[hour].rows) for hour in chunk]


def _asked(
    lake: Lake, step: HourStep, hours: Sequence[datetime]
) -> tuple[Mapping[datetime, str], Mapping[datetime, Consumed]]:
    """The inputs of these hours, and what the table consumed of them."""
    return step.inputs(hours), read_consumed(lake, step.table, hours)


def _unreadable(
    lake: Lake, step: HourStep, hours: Sequence[datetime], damages: Damages
) -> Iterator[tuple[datetime, str]]:
    """The hours of which not even the books can be read because of what is damaged, and what is.

    Raises whatever is no damage, and LakeError if a table has no log to be read.
    """
    try:
        _asked(lake, step, hours)
    except _DAMAGE as error:
        if len(hours) > 1 and not isinstance(error, LakeError):
            half = len(hours) // 2
            for some in (hours[:half], hours[half:]):
                yield from _unreadable(lake, step, some, damages)
            return
        damaged = damages.of(step.table, hours[:1], error)
        if not damaged:
            raise
        if isinstance(error, LakeError):
            raise LakeError(damaged) from None
        yield hours[0], damaged


def _fail(step: HourStep, hour: datetime, error: str) -> None:
    # If the ledger is what is damaged, the run's own report has to do.
    with suppress(*_DAMAGE):
        step.fail(hour, error)


def _chunks(step: HourStep, hours: Sequence[datetime], limit: int) -> Iterator[Sequence[datetime]]:
    chunk: list[datetime] = []
    weight = 0
    for hour in hours:
        if chunk and weight + step.weight(hour) > limit:
            yield chunk
            chunk, weight = [], 0
        chunk.append(hour)
        weight += step.weight(hour)
    if chunk:
        yield chunk


def _run_chunk(
    lake: Lake,
    step: HourStep,
    hours: Sequence[datetime],
    inputs: Mapping[datetime, str],
    consumed: Collection[datetime],
    damages: Damages,
) -> Iterator[HourReport]:
    started = time.monotonic()
    try:
        # Until the work is recorded, the table may hold anything of these hours: were they to
        # become again what was consumed last, they would be taken for unchanged.
        forget_consumed(lake, step.table, [hour for hour in hours if hour in consumed])
        done = step.run(hours)
        record_consumed(lake, step.table, _as_consumed(done, inputs))
    except FAILURES as error:
        if len(hours) > 1:
            # One bad hour must not take its neighbours along: find it by trying each alone.
            for hour in hours:
                yield from _run_chunk(lake, step, [hour], inputs, consumed, damages)
            return
        message = damages.of(step.table, hours, error) or error_line(error)
        _fail(step, hours[0], message)
        yield HourReport(hours[0], "failed", error=message)
        return
    seconds = (time.monotonic() - started) / len(hours)
    for hour, item in done.items():
        status: Status = "unchanged" if item.is_unchanged else "written"
        yield HourReport(hour, status, item.rows, seconds, item.figures)


def _as_consumed(
    done: Mapping[datetime, Done], inputs: Mapping[datetime, str]
) -> dict[datetime, Consumed]:
    return {hour: Consumed(inputs[hour], item.content, item.rows) for hour, item in done.items()}
