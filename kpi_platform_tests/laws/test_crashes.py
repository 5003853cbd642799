"""Runs that are killed, that meet, and that lose a commit: the next run completes every table."""

import contextlib
import shutil
import signal
import time
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from kpi_platform.engine.books.hour_fingerprints import Consumed, read_consumed, record_consumed
from kpi_platform.storage.lake import lake as lake_module
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.laws.file_world import FileWorld, start_run, unaccounted
from kpi_platform_tests.laws.lake_world import (
    Fault,
    FaultyLake,
    Killed,
    expected_tables,
    read_tables,
)
from kpi_platform_tests.reference import Event

START = datetime.fromisoformat("2026-01-01T05:00:00+00:00")
HOURS = [START + timedelta(hours=number) for number in range(6)]
# A corrected hour makes this many writes, from its lines to the record of its history.
WRITES = 24
# Seconds after the first commit; the whole run takes about one.
DELAYS = (0.0, 0.15, 0.3, 0.6)
# Before and after the commits of lines, ledgers, events, parts, sessions, sightings and history.
REVERTED = [
    *(Fault(at_write, Killed) for at_write in (2, 3, 5, 8, 9, 12, 15, 19, 21)),
    *(Fault(at_write, OSError) for at_write in (1, 3, 9)),
]


def contents(hour: datetime, variant: int = 0) -> list[Event]:
    """Sessions that reach into the hours beside, signed in here and there; no two events tie."""
    number = int((hour - START) / timedelta(hours=1))
    events = []
    for player in range(4):
        for minute in (5, 25, 45):
            at = hour + timedelta(minutes=minute + player, hours=-minute // 25)
            session = f"session-{player}"
            version = {"Version": f"1.{(number + variant + minute) % 3}", "Device": "deck"}
            events.append(Event(session, at, "SoftwareVersion", hour, version, 3 * number))
        if (number + player + variant) % 3 == 0:
            at = hour + timedelta(seconds=player + 10 * variant)
            who = {"PlayerId": f"player-{player + variant}"}
            events.append(Event(session, at, "SessionStart", hour, who, 3 * number + 1))
    return events


def assert_complete(world: FileWorld, events: dict[datetime, list[Event]]) -> None:
    lake = Lake(world.lake_uri)
    assert read_tables(world.lake_uri) == expected_tables(list(chain(*events.values())))
    assert list(unaccounted(lake)) == []
    assert lake.scan("history_queue").collect().is_empty()
    assert lake.scan("session_parts").collect()["event_count"].min() > 0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> FileWorld:
    """Three hours, complete."""
    world = FileWorld(tmp_path_factory.mktemp("built"))
    for hour in HOURS[:3]:
        world.write(hour, contents(hour))
    world.run(HOURS[:3])
    assert_complete(world, {hour: contents(hour) for hour in HOURS[:3]})
    return world


def corrected(built: FileWorld, folder: Path) -> tuple[FileWorld, dict[datetime, list[Event]]]:
    """A copy of the world whose hour in the middle has new contents, not yet run."""
    world = FileWorld(folder / "world")
    shutil.copytree(built.folder, world.folder)
    events = {hour: contents(hour) for hour in HOURS[:3]} | {HOURS[1]: contents(HOURS[1], 1)}
    world.write(HOURS[1], events[HOURS[1]])
    return world, events


@pytest.mark.parametrize("at_write", range(1, WRITES + 1))
def test_a_run_killed_at_a_write_is_completed_by_the_same_command(
    built: FileWorld, memory_path: Path, at_write: int
) -> None:
    world, events = corrected(built, memory_path)
    assert start_run(world, [HOURS[1]], at_write).wait(60) == -signal.SIGKILL
    world.run([HOURS[1]])
    assert_complete(world, events)


@pytest.mark.parametrize("delay", DELAYS)
def test_a_run_killed_at_any_moment_is_completed_by_the_same_command(
    built: FileWorld, memory_path: Path, delay: float
) -> None:
    world, events = corrected(built, memory_path)
    process = start_run(world, [HOURS[1]])
    log = world.folder / "lake" / "raw_telemetry" / "_delta_log"
    before = len(list(log.iterdir()))
    while len(list(log.iterdir())) == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    process.wait(60)
    world.run([HOURS[1]])
    assert_complete(world, events)


@pytest.mark.parametrize("fault", REVERTED, ids=str)
def test_an_hour_that_is_as_before_after_a_fault_is_completed(
    built: FileWorld, memory_path: Path, fault: Fault
) -> None:
    world, _ = corrected(built, memory_path)
    with contextlib.suppress(Killed):
        world.run([HOURS[1]], FaultyLake(world.lake_uri, fault))
    world.write(HOURS[1], contents(HOURS[1]))
    world.run([HOURS[1]])
    assert_complete(world, {hour: contents(hour) for hour in HOURS[:3]})


def test_runs_on_different_hours_at_once_lose_and_double_nothing(memory_path: Path) -> None:
    world = FileWorld(memory_path)
    events = {hour: contents(hour) for hour in HOURS}
    for hour in HOURS:
        world.write(hour, events[hour])
    processes = [start_run(world, part) for part in (HOURS[::2], HOURS[1::2])]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert_complete(world, events)
    assert {r.status for reports in world.run(HOURS).values() for r in reports} == {"unchanged"}


def test_a_commit_that_another_writer_overtook_is_repeated(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflicts = iter([True, True, False])

    def overtaken_twice(*arguments: object, **options: object) -> None:
        if next(conflicts, False):
            raise CommitFailedError("a concurrent transaction")
        write_deltalake(*arguments, **options)

    monkeypatch.setattr(lake_module, "write_deltalake", overtaken_twice)
    lake = Lake(str(memory_path))
    record_consumed(lake, "sessions", {START: Consumed("input", "content", 1)})
    assert next(conflicts, None) is None
    assert read_consumed(lake, "sessions", [START]) == {START: Consumed("input", "content", 1)}
