"""A small world whose days are old enough to be sealed, and what its hours should hold.

Belongs here: files, steps, retention, and a slow obvious account of which lines count. Does not:
choosing the moves.
"""

import gzip
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry import raw_step
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned import events_step
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.books.seals import dropped_hours, sealed_days
from kpi_platform.engine.hour_steps import HourReport, HourStep
from kpi_platform.engine.platform import Platform
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.retention.run import Retention, run_retention
from kpi_platform.settings import Settings
from kpi_platform.storage.lake.lake import Lake, hours_in
from kpi_platform_tests.colours import worked
from kpi_platform_tests.laws.lake_world import Fault, FaultyLake, Killed

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEEP = 31
# Of the first day, of its end (which holds lines of the next), of the next (which holds late
# lines), and of the day after.
HOURS = [START + n * HOUR for n in (5, 23, 28, 51)]
# Every hour that may hold lines of the first two days; then nothing until they are old.
EVERY = [START + n * HOUR for n in range(75)]
WALL = START + 400 * DAY
# When an event happened, from the start of its ingest hour.
TIMES = {"late": -20 * HOUR, "own": timedelta(minutes=10), "ahead": timedelta(minutes=70)}
LINES = ["late 1", "late 2", "own 1", "own 2", "own 3", "ahead 1", "unreadable", "no body"]
FOLDED = ("sessions", "user_version_history", "user_version_intervals")


def settings_of(root: Path) -> Settings:
    """A platform whose lines may be a day late and an hour ahead."""
    return Settings(
        home=root,
        start_hour=START,
        late_limit_days=1,
        future_limit_hours=1,
        keep_lines_days=KEEP,
    )


def text_of(hour: datetime, line: str) -> str:
    """A line of a file of an hour."""
    when, _, number = line.partition(" ")
    if when == "unreadable":
        return "no line\n"
    at = hour + TIMES.get(when, TIMES["own"])
    body = f"{{'Name': 'SoftwareVersion', 'Version': 1.{number}, 'PlayerId': 'P{number}'}}"
    body = "{" if when == "no" else body
    return f"Telemetry\t{at:%Y-%m-%dT%H:%M:%S}.000+0000\tApp\tS{number}\t1\t{body}\n"


def day_of(hour: datetime, line: str) -> date | None:
    """The event day of a line; None if it has none."""
    when = line.partition(" ")[0]
    return None if when == "unreadable" else (hour + TIMES.get(when, TIMES["own"])).date()


@dataclass
class Held:
    """What an hour holds of a name: all its lines, and the days whose lines it may not bring."""

    hour: datetime
    lines: list[str]
    refused: frozenset[date] = frozenset()

    @property
    def sealed(self) -> list[str]:
        return [line for line in self.lines if day_of(self.hour, line) in self.refused]

    @property
    def admitted(self) -> list[str]:
        return [line for line in self.lines if day_of(self.hour, line) not in self.refused]


@dataclass
class Expected:
    """Per hour and name what lies there now and what is held; sealed days, and hours without
    lines."""

    there: dict[datetime, dict[str, list[str]]] = field(default_factory=dict)
    holds: dict[datetime, dict[str, Held]] = field(default_factory=dict)
    late: dict[tuple[datetime, str], frozenset[date]] = field(default_factory=dict)
    let_go: dict[datetime, set[str]] = field(default_factory=dict)
    sealed: set[date] = field(default_factory=set)
    dropped: set[datetime] = field(default_factory=set)

    def run(self, hour: datetime) -> None:
        """What becomes of an hour when it is run."""
        now, held = self.there.get(hour, {}), self.holds.setdefault(hour, {})
        let_go = self.let_go.pop(hour, set())
        changed = {n for n, lines in now.items() if n not in held or held[n].lines != lines}
        if hour in self.dropped:
            replacing = {n for n in changed if n in held and held[n].lines}
            going = {n for n in let_go if held[n].lines}
            stays = {n for n, file in held.items() if file.lines and n not in let_go}
            if replacing or going:
                if stays <= set(now):
                    self.dropped.discard(hour)
                else:
                    changed -= replacing
                    let_go -= going
        for name in let_go:
            held.pop(name)
        for name in changed:
            held[name] = Held(hour, now[name], self._refused(hour, name))

    def _refused(self, hour: datetime, name: str) -> frozenset[date]:
        known = self.holds[hour].get(name)
        if (hour, name) not in self.late and not (known and known.lines):
            reach = {(hour + n * DAY).date() for n in (-1, 0)} | {(hour + 2 * HOUR).date()}
            if found := frozenset(self.sealed & reach):
                self.late[hour, name] = found
        return self.late.get((hour, name), frozenset())

    def events(self, hour: datetime) -> set[str]:
        """The distinct lines that are events."""
        held = self.holds.get(hour, {}).values()
        return {text_of(hour, x) for f in held for x in f.admitted if x[0] not in "un"}


class SealedWorld:
    """The platform as it really is, and what is expected of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.platform = Platform(settings_of(root))
        (root / "landing" / "game").mkdir(parents=True, exist_ok=True)
        self.expected = Expected()

    @property
    def lake(self) -> Lake:
        return Lake(self.platform.settings.lake)

    def copy(self, root: Path) -> "SealedWorld":
        """The same world in another folder."""
        shutil.copytree(self.root, root)
        other = SealedWorld(root)
        other.expected = deepcopy(self.expected)
        # Files that were copied look as if they had changed.
        other.run(sorted(other.expected.there))
        return other

    def put(self, hour: datetime, name: str, lines: Sequence[str]) -> None:
        path = self.path(hour, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(text_of(hour, line) for line in lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        self.expected.there.setdefault(hour, {})[name] = list(lines)

    def delete(self, hour: datetime, name: str) -> None:
        self.path(hour, name).unlink(missing_ok=True)
        self.expected.there.get(hour, {}).pop(name, None)

    def path(self, hour: datetime, name: str) -> Path:
        return self.root / "landing" / "game" / f"{hour:%Y/%m/%d/%H}" / name

    def steps(self, lake: Lake) -> list[HourStep]:
        return [step.of(self.platform, lake) for step in (RawStep, EventsStep)]

    def run(self, hours: Sequence[datetime]) -> list[HourReport]:
        """Read and clean the hours; nothing may fail, and no check may be red."""
        reports = self.run_files(hours)
        for hour in hours:
            self.expected.run(hour)
        return reports

    def run_files(self, hours: Sequence[datetime]) -> list[HourReport]:
        """The same, of files that are not expected to be what they are."""
        return self._work(self.steps(self.lake), hours)

    def run_feeds(self, hours: Sequence[datetime]) -> None:
        """Look for files of feeds, of which there are none."""
        self._work([step.of(self.platform) for step in (ConsoleStep, StreamStep)], hours)

    def fold(self) -> None:
        """Bring sessions and history up to date with the events of all hours."""
        steps: list[HourStep] = [step.of(self.platform) for step in (SessionsStep, HistoryStep)]
        self._work(steps, hours_in(self.lake.scan("hour_ledger").collect()))

    def _work(self, steps: Sequence[HourStep], hours: Sequence[datetime]) -> list[HourReport]:
        reports = [r for step in steps for r in worked(self.lake, step, hours)]
        assert not [report for report in reports if report.error]
        return reports

    def run_killed(self, hours: Sequence[datetime], at_write: int) -> None:
        """A run that is killed in place of a write, and the same command again."""
        lake = FaultyLake(self.lake.uri, Fault(at_write))
        with suppress(Killed):
            for step in self.steps(lake):
                worked(lake, step, hours)
        self.run(hours)

    def time_passes(self, days: int) -> None:
        """An hour is run after which so many days from the start are over for long enough."""
        self.run([START + (KEEP + days) * DAY - HOUR])

    def retain(self, at_write: int = 0) -> Retention | None:
        """Let rows go; None if it was killed in place of a write."""
        before = self.figures()
        lake = FaultyLake(self.lake.uri, Fault(at_write)) if at_write else self.lake
        platform = Platform(self.platform.settings)
        platform.__dict__["lake"] = lake
        found = None
        with suppress(Killed):
            found = run_retention(platform, WALL, lambda *_: None)
        assert self.figures() == before, "a figure moved because rows went"
        self._note_sealed()
        return found

    def _note_sealed(self) -> None:
        """Take over what was sealed and dropped, if it may be."""
        self.expected.sealed = sealed_days(self.lake)
        dropped = dropped_hours(self.lake)
        for hour in dropped - self.expected.dropped:
            held = self.expected.holds[hour]
            lines = [
                line for file in held.values() for line in file.admitted if line[0] not in "un"
            ]
            days = {day_of(hour, line) for line in lines} | {hour.date()}
            assert days <= self.expected.sealed, f"{hour} went before its days were sealed"
            now = self.expected.there.get(hour, {})
            assert all(held[name].lines == lines for name, lines in now.items()), "unread files"
        self.expected.dropped = dropped

    def figures(self) -> dict[str, list[dict[str, object]]]:
        """Everything that is made of lines and stays."""
        tables = ("cleaned_events", "hour_ledger", "file_ledger", *FOLDED)
        return {name: sorted_rows(self.lake, name) for name in tables}

    def check(self) -> None:
        """The events are those of the lines that count, and every line is accounted for."""
        events = self.lake.scan("cleaned_events").collect().to_dicts()
        found = Counter(
            (row["p_ingest_hour_utc"], row["event_at"], row["session_id"]) for row in events
        )
        wanted: Counter[tuple[int, datetime, str]] = Counter()
        for hour in HOURS:
            for line in self.expected.events(hour):
                fields = line.split("\t")
                wanted[hour.hour, datetime.fromisoformat(fields[1]), fields[3]] += 1
        assert found == wanted
        files = self.lake.scan("file_ledger").filter(pl.col("lines") > 0).collect()
        told = {
            (row["path"].removeprefix("game/"), row["lines"], row["sealed"])
            for row in files.to_dicts()
        }
        assert told == {
            (f"{hour:%Y/%m/%d/%H}/{name}", len(file.lines), len(file.sealed))
            for hour, held in self.expected.holds.items()
            for name, file in held.items()
            if file.lines
        }

    def check_scratch(self, empty: "SealedWorld") -> None:
        """The tables are those of one build from scratch over the lines that count."""
        other = empty.copy(self.root.parent / "scratch")
        for hour, held in self.expected.holds.items():
            for name, file in held.items():
                other.put(hour, name, file.admitted)
        other.run(HOURS)
        other.fold()
        for table in ("cleaned_events", *FOLDED):
            assert sorted_rows(self.lake, table) == sorted_rows(other.lake, table), table


def sorted_rows(lake: Lake, table: str) -> list[dict[str, object]]:
    """The rows of a table in an order of their own."""
    rows = lake.scan(table).collect()
    names = [n for n, t in rows.schema.items() if not t.is_nested()]
    return rows.sort(names).to_dicts()


def set_versions(version: str) -> None:
    """Have every hour that is not dropped read and decoded by a new version of the steps."""
    raw_step.VERSION = version
    events_step.VERSION = version
