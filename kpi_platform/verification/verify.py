"""Proves the order law on a lake: its tables equal one build from scratch over the files.

Belongs here: what is compared with what, in bounded memory. Does not: printing it.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import polars as pl

from kpi_platform.engine.books.damages import Found, damages_of, pin_readable
from kpi_platform.engine.books.file_ledger import HOLDING
from kpi_platform.engine.books.kept_days import closed_days
from kpi_platform.engine.books.seals import dropped_hours
from kpi_platform.engine.pinned_lake import PinnedLake
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.damage import Damage
from kpi_platform.storage.lake.lake import Lake, hours_expression, hours_in
from kpi_platform.verification.compare import TableComparison, compare
from kpi_platform.verification.held_lines import held_counts
from kpi_platform.verification.rebuild import FROM_FILES, Rebuild, unfinished
from kpi_platform.verification.scope import Touched, touched, waiting_players

HOUR_TABLES = (*FROM_FILES, "quarantined_events", "cleaned_events", "hour_ledger")
FOLDED_TABLES = ("sessions", "user_version_history", "user_version_intervals")
HOURS_AT_A_TIME = 24
HOUR = timedelta(hours=1)
# What the ledger says of runs, not of contents.
_BOOKKEEPING = {"hour_ledger": ("status", "fingerprint", "error")}

Reason = Literal["files or settings changed", "not processed yet", "not finished"]
Progress = Callable[[str, int, int], None]


class VerifyError(ValueError):
    """There is nothing to verify; the message is one line that says why."""


@dataclass(frozen=True)
class Stale:
    """An hour of which the lake does not hold what the files say, and why that is no fault."""

    hour: datetime
    reason: Reason


@dataclass(frozen=True)
class Held:
    """An hour of which files are gone: their lines were taken as they are stored."""

    hour: datetime
    files: int
    lines: int


@dataclass
class Verification:
    """What was verified: hours of the window, those that are stale, every table, hours of which
    not all files are there, what cannot be read, why something was not compared, how many hours
    outside the window were not rebuilt, and those of the window whose lines retention took: of
    both, events were taken as they are stored. Of `closed` hours, whose events retention may have
    taken, sessions and sightings were."""

    hours: int
    stale: list[Stale]
    tables: list[TableComparison] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    unreadable: list[Damage] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    taken: int = 0
    dropped: list[datetime] = field(default_factory=list)
    closed: list[datetime] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether every row compared is what the files say."""
        return not any(table.differing for table in self.tables)

    @property
    def players(self) -> list[str]:
        """The players among the differences listed."""
        named = {
            difference.key["player_id"]
            for table in self.tables
            for difference in table.differences
            if "player_id" in difference.key
        }
        return sorted(named)


def verify(
    platform: Platform,
    first: datetime | None,
    last: datetime | None,
    limit: int,
    progress: Progress,
) -> Verification:
    """Rebuild the processed hours from `first` to `last` in a temporary lake and compare.

    Per-hour tables are compared in these hours (both included; None: no bound), folded tables for
    the players touched in them, over all hours: of the others, and of hours whose lines are gone,
    no file is looked at, and their events are taken as they are stored. One window after the other
    is the whole. At most `limit` differences are kept per table. `progress` gets a stage, hours or
    tables done, and of how many.

    Memory is bounded by chunks of hours and buckets of rows; the temporary lake needs disk for
    the events of all hours. Raises VerifyError if no hour of the window was processed.
    """
    damages = damages_of(platform.lake)
    live = pin_readable(platform.lake, damages)
    known = _processed(live)
    window = [hour for hour in known if _is_within(hour, first, last)]
    if not window:
        if any(damages.values()):
            return Verification(0, [], unreadable=[item for f in damages.values() for item in f])
        raise VerifyError("no hour between --from and --to was processed yet: nothing to verify")
    with tempfile.TemporaryDirectory(prefix="kpi-verify-") as folder:
        verifying = _Verifying(
            platform, (live, damages), Lake(folder), known, window, limit, progress
        )
        return verifying.run(_arrived(platform, known, first, last))


def _is_within(hour: datetime, first: datetime | None, last: datetime | None) -> bool:
    return (first is None or hour >= first) and (last is None or hour <= last)


def _processed(lake: Lake) -> list[datetime]:
    consumed = lake.scan("hour_fingerprints").filter(pl.col("table_name") == "raw_telemetry")
    ledger = lake.scan("hour_ledger")
    return sorted({*hours_in(consumed.collect()), *hours_in(ledger.collect())})


def _arrived(
    platform: Platform, known: Sequence[datetime], first: datetime | None, last: datetime | None
) -> list[datetime]:
    """Hours of the window with files that were never processed."""
    first = max(first or platform.settings.start_hour, platform.settings.start_hour)
    landing = platform.landing
    if last is None:
        files = [file for file in landing.list_all() if file.is_readable]
    else:
        hours = [first + number * HOUR for number in range(max((last - first) // HOUR + 1, 0))]
        listed = [landing.list_hours(folder, hours) for folder in landing.folders()]
        files = [file for of in listed for some in of.values() for file in some if file.is_readable]
    seen = {file.hour for file in files if file.hour is not None}
    return sorted(hour for hour in seen - set(known) if _is_within(hour, first, last))


class _Verifying:
    """One verification: the lake as it is, the one that is built, and what was found."""

    def __init__(
        self,
        platform: Platform,
        found: tuple[PinnedLake, Found],
        target: Lake,
        known: Sequence[datetime],
        window: Sequence[datetime],
        limit: int,
        progress: Progress,
    ) -> None:
        self._live, self._damages = found
        self._target = target
        self._known = known
        self._window = set(window)
        self._dropped = dropped_hours(self._live)
        closed = closed_days(self._live)
        self._closed = [hour for hour in known if closed and hour < closed.before]
        self._limit = limit
        self._progress = progress
        self._rules = platform.player_id_rules
        self._rebuild = Rebuild(platform, target)
        self._unfinished = unfinished(platform, self._live, known)
        self._unsure = sorted(_unsure(self._live, self._damages, known))
        self._changed: list[datetime] = []
        self._held: dict[datetime, tuple[int, int]] = {}
        self._found = {t: TableComparison(t) for t in (*HOUR_TABLES, *FOLDED_TABLES)}

    def run(self, arrived: Sequence[datetime]) -> Verification:
        """Rebuild and compare; `arrived` are hours that have files but were never processed."""
        self._hours()
        self._fold()
        stale = [Stale(hour, "not processed yet") for hour in arrived]
        stale += [Stale(hour, "not finished") for hour in self._unfinished]
        stale += [Stale(hour, "files or settings changed") for hour in self._changed]
        listed = [s for s in stale if s.hour in self._window or s.reason == "not processed yet"]
        listed.sort(key=lambda item: item.hour)
        held = [Held(hour, *counts) for hour, counts in sorted(self._held.items())]
        unreadable = [item for each in self._damages.values() for item in each]
        differences = [item for item in self._found.values() if not self._is_left_out(item.table)]
        taken = len(self._known) - len(self._window)
        return Verification(
            len(self._window),
            listed,
            differences,
            held,
            unreadable,
            taken=taken,
            dropped=sorted(self._window & self._dropped),
            closed=[hour for hour in self._closed if hour in self._window],
        )

    def _is_left_out(self, table: str) -> bool:
        """Whether a table cannot be compared at all: what is damaged may be any row's."""
        return any(item.first is None for item in self._damages[table])

    def _hours(self) -> None:
        done = 0
        for hours in _chunks(self._known):
            # All of them first: which version of a row counts is a matter of all hours.
            self._rebuild.take_captured(self._live, hours)
        rebuilt = self._window - self._dropped
        for hours in _chunks([hour for hour in self._known if hour not in rebuilt]):
            self._rebuild.take_events(self._live, hours)
            done += len(hours)
            self._progress("hours rebuilt", done, len(self._known))
        for hours in _chunks([hour for hour in self._known if hour in rebuilt]):
            self._rebuild.read_files(self._live, hours)
            self._held |= held_counts(self._target, hours)
            skipped = {*self._unfinished, *self._unsure}
            changed = [h for h in self._rebuild.stale(self._live, hours) if h not in skipped]
            self._rebuild.take_lines(self._live, changed)
            self._rebuild.decode(hours)
            self._changed += changed
            skipped.update(changed)
            compared = [hour for hour in hours if hour not in skipped]
            if compared:
                for table in HOUR_TABLES:
                    self._compare_hours(table, compared)
            # Nothing after the events reads the lines again, and they are most of the bytes.
            shutil.rmtree(Path(self._target.path("raw_telemetry")), ignore_errors=True)
            done += len(hours)
            self._progress("hours rebuilt", done, len(self._known))

    def _compare_hours(self, table: str, hours: Sequence[datetime]) -> None:
        damages = self._damages[table]
        hours = [hour for hour in hours if not any(item.meets([hour]) for item in damages)]
        if not hours:
            return
        live, rebuilt = (
            _columns(lake, table).filter(hours_expression(hours))
            for lake in (self._live, self._target)
        )
        if table == "hour_ledger":
            # Which sources were expected in an hour without their files is the settings' matter.
            live, rebuilt = (rows.filter(pl.col("files") > 0) for rows in (live, rebuilt))
        compare(self._found[table], live, rebuilt, TABLES[table].keys, self._limit)

    def _fold(self) -> None:
        folded = 0

        def done(hours: int) -> None:
            nonlocal folded
            folded += hours
            # Each hour is folded into sessions, then into the history.
            self._progress("hours folded", folded, 2 * len(self._known))

        closed = set(self._closed)
        self._rebuild.fold([hour for hour in self._known if hour not in closed], done)
        for hours in _chunks(self._closed):
            self._rebuild.take_folded(self._live, hours)
            done(2 * len(hours))
        self._rebuild.fold_history()
        wanted = None
        if self._window != set(self._known):
            wanted = touched((self._live, self._target), sorted(self._window), self._rules)
        left_out = self._left_out()
        for number, table in enumerate(FOLDED_TABLES):
            if self._is_left_out(table):
                continue
            live, rebuilt = (
                _scoped(_columns(lake, table), wanted, left_out)
                for lake in (self._live, self._target)
            )
            compare(self._found[table], live, rebuilt, TABLES[table].keys, self._limit)
            self._progress("tables compared", number + 1, len(FOLDED_TABLES))

    def _left_out(self) -> Touched | None:
        """Who is touched by hours that are not finished: the next run brings them up to date."""
        waiting = waiting_players(self._live)
        unfinished = [*self._unfinished, *self._unsure]
        if not unfinished and waiting.is_empty():
            return None
        found = touched((self._live, self._target), unfinished, self._rules)
        return Touched(found.sessions, pl.concat([found.players, waiting]).unique())


def _unsure(lake: PinnedLake, damages: Found, hours: Sequence[datetime]) -> set[datetime]:
    """Hours of which a build from scratch lacks what only the lake has: what was captured, and
    lines of files that are gone."""
    sure = {"file_ledger", "hour_ledger", "raw_studio_events"}
    unsure = {h for table in sure for item in damages[table] for h in hours if item.meets([h])}
    stored = [item for t in (*FROM_FILES, "quarantined_events") for item in damages[t]]
    if stored:
        gone = lake.scan("file_ledger").filter(
            pl.col("state").is_in(HOLDING[1:]), pl.col("lines") > 0
        )
        held = hours_in(gone.collect())
        unsure.update(hour for hour in held if any(item.meets([hour]) for item in stored))
    return unsure


def _columns(lake: Lake, table: str) -> pl.LazyFrame:
    names = TABLES[table].polars_schema.names()
    return lake.scan(table).select(n for n in names if n not in _BOOKKEEPING.get(table, ()))


def _scoped(rows: pl.LazyFrame, wanted: Touched | None, left_out: Touched | None) -> pl.LazyFrame:
    rows = rows if wanted is None else wanted.rows(rows)
    return rows if left_out is None else left_out.other_rows(rows)


def _chunks(hours: Sequence[datetime]) -> Iterator[Sequence[datetime]]:
    for start in range(0, len(hours), HOURS_AT_A_TIME):
        yield hours[start : start + HOURS_AT_A_TIME]
