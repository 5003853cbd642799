"""The order law and the cost law, hunted down on real tables by random moves."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from kpi_platform_tests.laws.case_files import CASES, read_case
from kpi_platform_tests.laws.lake_world import Move, World, read_tables
from kpi_platform_tests.laws.order_law import OrderLaw
from kpi_platform_tests.reference import Event
from kpi_platform_tests.worlds import START


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players of each date by themselves: worlds are too small for several turns otherwise."""
    monkeypatch.setattr("kpi_platform.history.history_step.PLAYERS_AT_A_TIME", 1)


def test_tables_equal_the_reference_after_any_moves() -> None:
    run_state_machine_as_test(
        OrderLaw, settings=settings.get_profile(os.environ.get("KPI_LAWS", "ci"))
    )


@pytest.mark.parametrize("case", sorted(CASES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_what_once_went_wrong_goes_right(case: Path, memory_path: Path) -> None:
    world = World(memory_path / "lake")
    for move in read_case(case):
        world.make(move)
        world.check()
    world.finish()
    world.check()
    world.check_from_scratch(memory_path / "scratch")


def test_a_late_change_of_a_known_history_splits_an_interval(memory_path: Path) -> None:
    """The worked example of out-of-order SCD2 handling: a key at 5, 10 and 15, and then at 12."""
    world = World(memory_path / "lake")
    for number in (5, 10, 15, 12):
        hour = START + timedelta(hours=number)
        seen = {"PlayerId": "key", "Version": str(number), "Device": "deck"}
        events = [Event(" ", hour, "SoftwareVersion", hour, seen)]
        world.make(Move((hour,), {hour: events}))
    rows = read_tables(world.uri, ["user_version_intervals"])["user_version_intervals"]
    spans = [(row["version"], row["valid_from"].hour, row["valid_to"]) for row in rows]
    assert [(version, start, end and end.hour) for version, start, end in spans] == [
        ("5", 5, 10),
        ("10", 10, 12),
        ("12", 12, 15),
        ("15", 15, None),
    ]
