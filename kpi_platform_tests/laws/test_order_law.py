"""The order law and the cost law, hunted down on real tables by random moves."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from kpi_platform_tests.laws.case_files import CASES, read_case
from kpi_platform_tests.laws.lake_world import World
from kpi_platform_tests.laws.order_law import OrderLaw


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
