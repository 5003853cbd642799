"""Public worked examples of out-of-order SCD2 handling, as sequences of (key, sequence, version).

The keys with sequences 5, 10, 15 and a late 12 are those of Spark's AutoCDC suites; the others
vary what arrives late. A sequence number is an hour here; each batch is an ingest of its own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from kpi_platform_tests.laws.lake_world import Move, World, read_tables
from kpi_platform_tests.reference import Event
from kpi_platform_tests.worlds import START

Change = tuple[str, int, str]
Span = tuple[str, str, int, int | None]

FIRST = [("k", 5, "a"), ("k", 10, "b"), ("k", 15, "c")]
EXAMPLES: dict[str, tuple[list[list[Change]], list[Span]]] = {
    "a late change between two splits an interval": (
        [FIRST, [("k", 12, "d")]],
        [("k", "a", 5, 10), ("k", "b", 10, 12), ("k", "d", 12, 15), ("k", "c", 15, None)],
    ),
    "each change in a batch of its own, newest first": (
        [[FIRST[2]], [FIRST[1]], [FIRST[0]], [("k", 12, "d")]],
        [("k", "a", 5, 10), ("k", "b", 10, 12), ("k", "d", 12, 15), ("k", "c", 15, None)],
    ),
    "a late change before all others becomes the first interval": (
        [FIRST, [("k", 2, "d")]],
        [("k", "d", 2, 5), ("k", "a", 5, 10), ("k", "b", 10, 15), ("k", "c", 15, None)],
    ),
    "a late change to what was in effect changes no boundary": (
        [FIRST, [("k", 12, "b")]],
        [("k", "a", 5, 10), ("k", "b", 10, 15), ("k", "c", 15, None)],
    ),
    "a late change to what came next moves its beginning": (
        [FIRST, [("k", 12, "c")]],
        [("k", "a", 5, 10), ("k", "b", 10, 12), ("k", "c", 12, None)],
    ),
    "a late change back makes a run of its own": (
        [FIRST, [("k", 12, "a")]],
        [("k", "a", 5, 10), ("k", "b", 10, 12), ("k", "a", 12, 15), ("k", "c", 15, None)],
    ),
    "two late changes in one batch, out of order": (
        [FIRST, [("k", 13, "e"), ("k", 12, "d")]],
        [("k", "a", 5, 10), ("k", "b", 10, 12), ("k", "d", 12, 13), ("k", "e", 13, 15),
         ("k", "c", 15, None)],
    ),
    "the same change twice counts once": (
        [FIRST, [("k", 10, "b")], [("k", 10, "b")]],
        [("k", "a", 5, 10), ("k", "b", 10, 15), ("k", "c", 15, None)],
    ),
    "a late change of one key leaves the others alone": (
        [[*FIRST, ("l", 7, "a")], [("m", 1, "a"), ("k", 12, "d")]],
        [("k", "a", 5, 10), ("k", "b", 10, 12), ("k", "d", 12, 15), ("k", "c", 15, None),
         ("l", "a", 7, None), ("m", "a", 1, None)],
    ),
    "the newest change arrives last": (
        [FIRST, [("k", 20, "d")]],
        [("k", "a", 5, 10), ("k", "b", 10, 15), ("k", "c", 15, 20), ("k", "d", 20, None)],
    ),
}  # fmt: skip


def _ingest(world: World, batches: Sequence[Sequence[Change]]) -> list[Span]:
    for number, batch in enumerate(batches):
        hour = START + timedelta(hours=30 + number)
        events = [
            Event(
                " ", START + timedelta(hours=sequence), "SoftwareVersion", hour,
                {"PlayerId": key, "Version": version, "Device": "deck"},
            )
            for key, sequence, version in batch
        ]  # fmt: skip
        world.make(Move((hour,), {hour: events}))
    world.check()
    rows = read_tables(world.uri, ["user_version_intervals"])["user_version_intervals"]
    return [
        (row["player_id"], row["version"], _sequence(row["valid_from"]), _sequence(row["valid_to"]))
        for row in rows
    ]


def _sequence(at: datetime | None) -> int | None:
    return None if at is None else (at - START) // timedelta(hours=1)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_worked_example_comes_out_as_published(name: str, memory_path: Path) -> None:
    batches, expected = EXAMPLES[name]
    assert _ingest(World(memory_path / "lake"), batches) == expected


@pytest.mark.parametrize("order", list(permutations(range(4)))[1::6])
def test_the_order_of_arrival_makes_no_difference(
    order: tuple[int, ...], memory_path: Path
) -> None:
    changes = [*FIRST, ("k", 12, "d")]
    expected = EXAMPLES["a late change between two splits an interval"][1]
    batches = [[changes[number]] for number in order]
    assert _ingest(World(memory_path / "lake"), batches) == expected
