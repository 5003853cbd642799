"""The order law as a machine: random moves on a small world, the law after every one of them.

Belongs here: which moves there are. Does not: how a move is made, which is `lake_world.py`.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from kpi_platform_tests.laws.case_files import CASES, write_case
from kpi_platform_tests.laws.lake_world import WHOLE, Fault, Killed, Move, World
from kpi_platform_tests.reference import Event
from kpi_platform_tests.worlds import PLAYERS, SESSIONS, START, TIMES, VERSIONS, events

HOURS = st.integers(0, 5).map(lambda hour: START + timedelta(hours=21 + hour))
SEVERAL = st.lists(HOURS, min_size=2, max_size=4, unique=True)
# Faults in the middle matter most; a run of one hour makes about 16 writes.
WRITES = st.integers(1, 18)
CHUNKS = st.sampled_from([1, 5, WHOLE])


@st.composite
def contents(draw: st.DrawFn, hour: datetime) -> list[Event]:
    """What an hour contains."""
    return draw(st.lists(events(st.just(hour)), min_size=1, max_size=6))


class OrderLaw(RuleBasedStateMachine):
    """Moves on a world; after each the tables equal the reference over what the hours contain."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.world = World(Path(self._folder.name) / "lake")

    @rule(hour=HOURS, data=st.data())
    def an_hour_comes(self, hour: datetime, data: st.DataObject) -> None:
        """New, late or corrected, as it falls."""
        self._make(Move((hour,), {hour: data.draw(contents(hour))}))

    @rule(hour=HOURS)
    def an_hour_is_emptied(self, hour: datetime) -> None:
        self._make(Move((hour,), {hour: []}))

    @precondition(lambda self: self.world.contents and not self.world.pending)
    @rule(chunk_limit=CHUNKS)
    def every_hour_again(self, chunk_limit: int) -> None:
        """The cost law: where nothing changed, nothing is written."""
        before = self.world.versions()
        self._make(Move(tuple(sorted(self.world.contents)), chunk_limit=chunk_limit))
        assert self.world.versions() == before, "an unchanged hour wrote something"

    @rule(hour=HOURS, chunk_limit=CHUNKS, data=st.data())
    def a_range_is_mended(self, hour: datetime, chunk_limit: int, data: st.DataObject) -> None:
        """One hour is late or corrected, and a run over all hours brings it up to date."""
        put = {hour: data.draw(contents(hour))}
        hours = tuple(sorted({hour, *self.world.contents}))
        self._make(Move(hours, put, chunk_limit))

    @precondition(lambda self: any(self.world.contents.values()))
    @rule(hour=HOURS, data=st.data())
    def events_are_resent(self, hour: datetime, data: st.DataObject) -> None:
        known = [event for part in self.world.contents.values() for event in part]
        again = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        self._add(hour, [replace(event, ingest_hour=hour) for event in again])

    @rule(
        hour=HOURS,
        session=SESSIONS,
        signed_in=st.lists(st.tuples(TIMES, PLAYERS), min_size=1, max_size=2),
    )
    def players_sign_in(
        self, hour: datetime, session: str, signed_in: list[tuple[datetime, str]]
    ) -> None:
        """Before or long after the session's events; two players may claim one session."""
        self._add(
            hour,
            [
                Event(session, at, "SessionStart", hour, {"PlayerId": player}, 1, *_ORIGIN)
                for at, player in signed_in
            ],
        )

    @rule(hour=HOURS, session=SESSIONS, at=TIMES, version=VERSIONS)
    def a_version_is_seen(self, hour: datetime, session: str, at: datetime, version: str) -> None:
        attributes = {"Version": version}
        self._add(hour, [Event(session, at, "SoftwareVersion", hour, attributes, 2, *_ORIGIN)])

    @rule(hours=SEVERAL, chunk_limit=CHUNKS, data=st.data())
    def a_range_comes(self, hours: list[datetime], chunk_limit: int, data: st.DataObject) -> None:
        put = {hour: data.draw(contents(hour)) for hour in hours}
        self._make(Move(tuple(sorted(hours)), put, chunk_limit))

    @rule(hours=SEVERAL, data=st.data())
    def hours_come_at_once(self, hours: list[datetime], data: st.DataObject) -> None:
        put = {hour: data.draw(contents(hour)) for hour in hours}
        half = len(hours) // 2
        self._make(Move(tuple(hours[:half]), put, beside=tuple(hours[half:])))

    @rule(hours=SEVERAL, at_write=WRITES, chunk_limit=CHUNKS, data=st.data())
    def a_write_fails(
        self, hours: list[datetime], at_write: int, chunk_limit: int, data: st.DataObject
    ) -> None:
        put = {hour: data.draw(contents(hour)) for hour in hours}
        self._make(Move(tuple(sorted(hours)), put, chunk_limit, Fault(at_write, OSError)))

    @rule(hour=HOURS, at_write=WRITES, is_reverted=st.booleans(), data=st.data())
    def a_run_is_killed(
        self, hour: datetime, at_write: int, is_reverted: bool, data: st.DataObject
    ) -> None:
        """And, now and then, the hour is as before when it is run again."""
        before = self.world.contents.get(hour, [])
        self._make(Move((hour,), {hour: data.draw(contents(hour))}, fault=Fault(at_write, Killed)))
        if is_reverted:
            self._make(Move((hour,), {hour: before}))

    @precondition(lambda self: self.world.pending)
    @rule()
    def the_same_command_again(self) -> None:
        self._make(Move(tuple(sorted(self.world.pending))))

    def teardown(self) -> None:
        try:
            self._keep_if_wrong(self._end)
        finally:
            self._folder.cleanup()

    def _end(self) -> None:
        self.world.finish()
        self.world.check()
        if self.world.contents:
            self.world.check_from_scratch(Path(self._folder.name) / "scratch")

    def _add(self, hour: datetime, more: Sequence[Event]) -> None:
        self._make(Move((hour,), {hour: [*self.world.contents.get(hour, ()), *more]}))

    def _make(self, move: Move) -> None:
        def make() -> None:
            self.world.make(move)
            self.world.check()

        self._keep_if_wrong(make)

    def _keep_if_wrong(self, work: Callable[[], None]) -> None:
        """While soaking, write down the moves: the last that fail are the shortest found."""
        try:
            work()
        except BaseException:
            if os.environ.get("KPI_LAWS") == "soak":
                write_case(CASES / "found.jsonl", self.world.moves)
            raise


_ORIGIN = ("studio-a", "game-a")
