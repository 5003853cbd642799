"""What an hour contains, hunted down by random moves of its files against a slow reference.

The reference knows of every name what was last read under it, and nothing of listings, runs and
tables. Contents may depend on nothing else.
"""

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.removals import accept_removals, note_missing
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform_tests.colours import worked
from kpi_platform_tests.laws.file_world import unaccounted
from kpi_platform_tests.laws.lake_world import Fault, FaultyLake, Killed

START = datetime.fromisoformat("2026-01-01T05:00:00+00:00")
HOURS = [START, START + timedelta(hours=1)]
LIMITS = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
SOURCES = parse_sources(
    "studios: [{key: s, games: [{key: g, sources: ["
    "{key: named, telemetry: named}, {key: spark, telemetry: spark, overwrites: hours}]}]}]",
    "test",
)
PLACES = st.tuples(st.sampled_from(["named", "spark"]), st.sampled_from(HOURS))
NAMES = st.sampled_from(["a.tsv", "b.tsv", "c.tsv"])
# Few lines, so that many are in several files; some are of no use when read, some when decoded.
LINES = st.lists(st.sampled_from(["1", "2", "3", "unreadable", "no body"]), max_size=4)

Place = tuple[str, datetime]


def text(place: Place, line: str) -> str:
    if line == "unreadable":
        return "no line\n"
    body = "{" if line == "no body" else f"{{'Name': 'A', 'v': {line}}}"
    return f"T\t{place[1]:%Y-%m-%dT%H}:00:00.000+0000\tApp\tS\t1\t{body}\n"


@dataclass
class Reference:
    """Per place the lines of every name, as last read; and what lies there now, unread or not."""

    there: dict[Place, dict[str, list[str]]] = field(default_factory=dict)
    holds: dict[Place, dict[str, list[str]]] = field(default_factory=dict)
    ran: set[datetime] = field(default_factory=set)

    def run(self, hour: datetime) -> None:
        for source in ("named", "spark"):
            place = (source, hour)
            now = self.there.get(place, {})
            before = self.holds.get(place, {})
            is_kept = source == "named" or not now
            self.holds[place] = ({**before} if is_kept else {}) | now
        self.ran.add(hour)

    def accept(self, hour: datetime) -> None:
        for source in ("named", "spark"):
            place = (source, hour)
            now = self.there.get(place, {})
            before = self.holds.get(place, {})
            self.holds[place] = {name: lines for name, lines in before.items() if name in now}


class HourFilesLaw(RuleBasedStateMachine):
    """Files come, change and go; runs are cut in any way. Tables equal the reference after runs."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.root = Path(self._folder.name)
        (self.root / "landing").mkdir()
        self.lake = Lake(str(self.root / "lake"))
        self.expected = Reference()

    @rule(place=PLACES, name=NAMES, lines=LINES)
    def put(self, place: Place, name: str, lines: list[str]) -> None:
        """New, or other content under a name."""
        self._path(place, name).write_text("".join(text(place, line) for line in lines))
        self.expected.there.setdefault(place, {})[name] = lines

    @rule(place=PLACES, name=NAMES)
    def delete(self, place: Place, name: str) -> None:
        self._path(place, name).unlink(missing_ok=True)
        self.expected.there.get(place, {}).pop(name, None)

    @rule(place=PLACES, name=NAMES)
    def bring_back(self, place: Place, name: str) -> None:
        lines = self.expected.holds.get(place, {}).get(name)
        if lines is not None:
            self.put(place, name, lines)

    @rule(place=PLACES, old=NAMES, new=NAMES)
    def rename(self, place: Place, old: str, new: str) -> None:
        files = self.expected.there.get(place, {})
        if old in files and old != new:
            self._path(place, old).rename(self._path(place, new))
            files[new] = files.pop(old)

    @rule(place=PLACES, old=NAMES, parts=st.permutations(["a.tsv", "b.tsv", "c.tsv"]))
    def split(self, place: Place, old: str, parts: list[str]) -> None:
        lines = self.expected.there.get(place, {}).get(old)
        if lines:
            self.delete(place, old)
            self.put(place, parts[0], lines[:1])
            self.put(place, parts[1], lines[1:])

    @rule()
    def empty_the_bucket(self) -> None:
        shutil.rmtree(self.root / "landing")
        (self.root / "landing").mkdir()
        self.expected.there.clear()

    @rule(hours=st.lists(st.sampled_from(HOURS), min_size=1, max_size=2, unique=True))
    def list_files(self, hours: list[datetime]) -> None:
        """What is only listed changes no contents."""
        note_missing(self.lake, "telemetry", hours, self._listed, {"spark"}, lambda _: False)

    @rule(
        hours=st.lists(st.sampled_from(HOURS), min_size=1, max_size=2, unique=True),
        chunk=st.sampled_from([1, 1 << 20]),
        is_cleaned=st.booleans(),
    )
    def run(self, hours: list[datetime], chunk: int, is_cleaned: bool) -> None:
        self._run(sorted(hours), chunk, is_cleaned=is_cleaned)

    @rule(hour=st.sampled_from(HOURS))
    def accept(self, hour: datetime) -> None:
        """Held files are let go, noted by a run before; their lines go with the next run."""
        self._run([hour], 1, is_cleaned=False)
        accept_removals(self.lake, hour, hour)
        self.expected.accept(hour)
        self._run([hour], 1, is_cleaned=False)

    @invariant()
    def lines_are_the_references(self) -> None:
        rows = self.lake.scan("raw_telemetry").collect()
        bad = self.lake.scan("quarantined_events").filter(pl.col("p_stage") == "read").collect()
        found = Counter(
            (row["source"], row["p_ingest_hour_utc"], row["file_name"].rsplit("/", 1)[1], line)
            for frame in (rows, bad)
            for row in frame.to_dicts()
            if (line := row.get("body_message") or row["raw_line"])
        )
        assert found == Counter(
            (source, hour.hour, name, self._stored(source, hour, line))
            for (source, hour), files in self.expected.holds.items()
            for name, lines in files.items()
            for line in lines
        )

    def teardown(self) -> None:
        try:
            self._run(HOURS, 1 << 20, is_cleaned=True)
            self.lines_are_the_references()
            self._events_are_those_of_scratch()
            reports = self._steps(HOURS, 1 << 20)
            assert {report.status for report in reports} == {"unchanged"}
        finally:
            self._folder.cleanup()

    def _events_are_those_of_scratch(self) -> None:
        """The events, and what became of each file's lines, are those of hours cleaned anew."""
        kept = self._counts()
        assert list(unaccounted(self.lake)) == []
        scratch = Lake(str(self.root / "scratch"))
        shutil.copytree(self.root / "lake", self.root / "scratch")
        scratch.delete("hour_fingerprints", "table_name = 'cleaned_events'")
        worked(scratch, EventsStep(scratch, SOURCES), HOURS)
        before, self.lake = self.lake, scratch
        assert self._counts() == kept
        self.lake = before

    def _counts(self) -> list[object]:
        files = self.lake.scan("file_ledger").collect().sort("path", "content_hash").to_dicts()
        events = self.lake.scan("cleaned_events").collect().sort("p_ingest_hour_utc", "event_id")
        ledger = self.lake.scan("hour_ledger").collect().sort("p_ingest_hour_utc", "source")
        return [files, events.to_dicts(), ledger.to_dicts()]

    def _stored(self, source: str, hour: datetime, line: str) -> str:
        return text((source, hour), line).strip().rsplit("\t", 1)[-1]

    def _path(self, place: Place, name: str) -> Path:
        folder = self.root / "landing" / place[0] / f"{place[1]:%Y/%m/%d/%H}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def _listed(self, hours: Sequence[datetime]) -> dict[datetime, set[str]]:
        landing = Landing(str(self.root / "landing"))
        paths: dict[datetime, set[str]] = {hour: set() for hour in hours}
        for folder in landing.folders():
            for hour, files in landing.list_hours(folder, hours).items():
                paths[hour] |= {file.path for file in files}
        return paths

    def _run(self, hours: list[datetime], chunk: int, *, is_cleaned: bool) -> None:
        reports = self._steps(hours, chunk, is_cleaned=is_cleaned)
        assert not [report for report in reports if report.error]
        for hour in hours:
            self.expected.run(hour)

    def _steps(self, hours: list[datetime], chunk: int, *, is_cleaned: bool = True) -> list[object]:
        landing = Landing(str(self.root / "landing"))
        raw = RawStep(self.lake, landing, SOURCES, LIMITS)
        reports = worked(self.lake, raw, hours, chunk)
        if is_cleaned:
            reports += worked(self.lake, EventsStep(self.lake, SOURCES), hours, chunk)
        return reports


def test_contents_do_not_depend_on_listings_and_runs() -> None:
    profile = settings.get_profile(os.environ.get("KPI_LAWS", "ci"))
    run_state_machine_as_test(
        HourFilesLaw, settings=settings(profile, stateful_step_count=12, max_examples=10)
    )


LATE = ["1", "2", "3", "unreadable", "no body"]


def late_world() -> HourFilesLaw:
    """An hour that is complete, of two files, to which a late one and a corrected one came."""
    world = HourFilesLaw()
    place = ("named", HOURS[0])
    world.put(place, "b.tsv", ["1", "unreadable", "no body"])
    world.put(place, "c.tsv", ["1", "2"])
    world.run([HOURS[0]], 1, is_cleaned=True)
    # Copies of what others have, before and after them by path.
    world.put(place, "a.tsv", LATE)
    return world


# Of the lines, the ledgers and the events; each write once, some of them with an error.
FAULTS = [
    *((at_write, at_write % 2 == 0, Killed) for at_write in range(1, 14)),
    *((at_write, at_write % 2 == 1, OSError) for at_write in (2, 3, 7, 8)),
]


@pytest.mark.parametrize(("at_write", "is_corrected", "error"), FAULTS)
def test_a_late_file_whose_run_is_killed_is_completed_by_the_same_command(
    at_write: int, is_corrected: bool, error: type[BaseException]
) -> None:
    world = late_world()
    if is_corrected:
        world.put(("named", HOURS[0]), "b.tsv", ["2", "2", "unreadable"])
    sound = world.lake
    world.lake = FaultyLake(sound.uri, Fault(at_write, error))
    with contextlib.suppress(Killed, AssertionError):
        world.run([HOURS[0]], 1, is_cleaned=True)
    world.lake = sound
    world.teardown()


def test_an_upgraded_lake_holds_what_it_read_without_a_ledger_of_files() -> None:
    world = late_world()
    # As the release before left it.
    shutil.rmtree(world.root / "lake" / "file_ledger")
    world.delete(("named", HOURS[0]), "b.tsv")
    world.run([HOURS[0]], 1, is_cleaned=True)
    world.lines_are_the_references()
    files = world.lake.scan("file_ledger").collect().sort("path")
    assert files["state"].to_list() == ["read", "held", "read"]
    world.teardown()
