"""Retention under random moves: no figure moves when rows go, and only lines in time count.

The reference knows of every name which lines it brought and which days were sealed when it came.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from kpi_platform.arrivals.telemetry import raw_step
from kpi_platform.arrivals.watching.missing_files import note_missing_files
from kpi_platform.engine.books.removals import accept_removals
from kpi_platform.history.rebuild import rebuild_history
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.laws.sealed_world import (
    EVERY,
    HOURS,
    LINES,
    SealedWorld,
    set_versions,
    sorted_rows,
)

_MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
_HOUR = st.sampled_from(HOURS)
# A few of the lines, none, or no file.
_CONTENTS = st.lists(st.sampled_from(LINES), max_size=4) | st.none()
_FILE = st.tuples(_HOUR, st.sampled_from(["a.tsv", "b.tsv", "c.tsv", "d.tsv"]))
_HOW = st.sampled_from(["run", "run", "killed", "version", "all", "later"])
_EXAMPLES = int(os.environ.get("KPI_LAWS_EXAMPLES", "3"))
_WRITES = st.integers(1, 16)


@pytest.fixture(scope="module")
def worlds() -> Iterator[list[SealedWorld]]:
    """The world before a day is sealed, with one that is, and with two: copied, never changed."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        world = SealedWorld(Path(folder) / "0")
        world.run(EVERY)
        empty = world.copy(Path(folder) / "empty")
        for hour in HOURS:
            world.put(hour, "a.tsv", ["own 1", "late 1", "ahead 1", "no body"])
            world.put(hour, "b.tsv", ["own 1", "own 2", "unreadable"])
        world.run(HOURS)
        found = [empty, world]
        for days in (1, 2):
            later = found[-1].copy(Path(folder) / str(days))
            later.time_passes(days)
            later.retain()
            found.append(later)
        assert [len(later.expected.dropped) for later in found[1:]] == [0, 1, 3]
        yield found


class SealingLaw(RuleBasedStateMachine):
    """Files come, change and go, early and late; runs and retention are cut in any way."""

    worlds: Sequence[SealedWorld]

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=_MEMORY)
        self.root = Path(self._folder.name)
        self._version = raw_step.VERSION
        self._count = 0

    @initialize(days=st.sampled_from([0, 1, 2, 2]))
    def begin(self, days: int) -> None:
        self.world = self.worlds[1 + days].copy(self.root / "world")

    @rule(
        files=st.dictionaries(_FILE, _CONTENTS, min_size=2, max_size=5),
        how=_HOW,
        at_write=_WRITES,
    )
    def files_change(
        self, files: dict[tuple[datetime, str], list[str] | None], how: str, at_write: int
    ) -> None:
        """Files come, new or in place of others, and go; their hours are run, or others first."""
        for place, lines in files.items():
            if lines is None:
                self.world.delete(*place)
            else:
                self.world.put(*place, lines)
        hours = sorted({hour for hour, _ in files})
        if how == "killed":
            self.world.run_killed(hours, at_write)
        if how == "version":
            # A new version of the steps, which does not rerun hours whose lines are gone.
            self._count += 1
            set_versions(f"{self._version}+{self._count}")
        if how != "later":
            self.world.run(HOURS if how == "all" else hours)

    @rule(hour=_HOUR)
    def files_come_back(self, hour: datetime) -> None:
        for name, file in self.world.expected.holds.get(hour, {}).items():
            if name not in self.world.expected.there.get(hour, {}):
                self.world.put(hour, name, file.lines)
        self.world.run([hour])

    @rule(hour=_HOUR)
    def let_go(self, hour: datetime) -> None:
        """What is gone from the landing zone is accepted as gone."""
        self.world.run([hour])
        note_missing_files(self.world.platform, (hour, hour))
        held = accept_removals(self.world.lake, hour, hour)
        self.world.expected.let_go[hour] = {path.rsplit("/", 1)[1] for path in held["path"]}
        self.world.run([hour])

    @rule(days=st.integers(1, 3), at_write=st.integers(0, 8), hour=_HOUR)
    def retain(self, days: int, at_write: int, hour: datetime) -> None:
        self.world.time_passes(days)
        if self.world.retain(at_write) is None:
            # It was killed: work goes on all the same, and the next run completes it.
            self.world.run([hour])
            self.world.retain()

    @invariant()
    def events_are_the_references(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            set_versions(self._version)
            self._folder.cleanup()

    def _end(self) -> None:
        self.world.run(HOURS)
        self.world.fold()
        self.world.retain()
        reports = self.world.run(HOURS)
        assert {report.status for report in reports} == {"unchanged"}
        raw = self.world.lake.scan("raw_telemetry").collect()
        dropped = {(hour.date(), hour.hour) for hour in self.world.expected.dropped}
        assert not dropped.intersection(raw.select("p_ingest_date_utc", "p_ingest_hour_utc").rows())
        # A full refresh of what is folded from contributions.
        made = Lake(str(self.root / "refreshed"))
        rebuild_history(self.world.lake, made)
        for table in ("user_version_history", "user_version_intervals"):
            assert sorted_rows(made, table) == sorted_rows(self.world.lake, table)
        self.world.check_scratch(self.worlds[0])


def test_no_figure_moves_when_rows_go(worlds: list[SealedWorld]) -> None:
    SealingLaw.worlds = worlds
    profile = settings.get_profile(os.environ.get("KPI_LAWS", "ci"))
    run_state_machine_as_test(
        SealingLaw, settings=settings(profile, stateful_step_count=7, max_examples=_EXAMPLES)
    )
