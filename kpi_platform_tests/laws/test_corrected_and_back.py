"""An hour corrected, killed, and put back, while a neighbour ran on what it held meanwhile."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform_tests.laws.lake_world import Fault, Move, World
from kpi_platform_tests.reference import Event

START = datetime.fromisoformat("2026-01-01T05:00:00+00:00")
OTHER = START + timedelta(hours=1)


def of_hour(hour: datetime, minutes: tuple[int, ...], player: str = "p1") -> list[Event]:
    """Events of one session that comes in both hours, one among the other's."""
    signed_in = {"PlayerId": player, "Version": "1.2", "Device": "deck"}
    return [
        Event("s", START + timedelta(minutes=minute), "SoftwareVersion", hour, signed_in, minute)
        for minute in minutes
    ]


# Before and after each commit of the hour's events, parts and sessions.
@pytest.mark.parametrize("at_write", range(2, 6))
@pytest.mark.parametrize(
    "meanwhile",
    [of_hour(OTHER, (5, 15, 25, 35)), [], of_hour(OTHER, (5, 25), "p0")],
    ids=["an event more", "nothing", "another player"],
)
def test_the_tables_are_those_of_what_the_hours_hold(
    tmp_path: Path, meanwhile: list[Event], at_write: int
) -> None:
    world = World(tmp_path)
    right = of_hour(OTHER, (5, 25))
    first = of_hour(START, (0, 10, 20, 30))
    world.make(Move((START, OTHER), {START: first, OTHER: right}))
    world.make(Move((OTHER,), {OTHER: meanwhile}, fault=Fault(at_write)))
    world.make(Move((START,), {START: of_hour(START, (0, 10, 20, 40))}))
    world.make(Move((OTHER,), {OTHER: right}))
    assert not world.pending
    world.check()
