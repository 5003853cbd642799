"""The order law over what was captured: whatever order the hours come in, the tables are the same.

A studio's rows are added, changed and marked while hours are captured in any order, alone and in
ranges, again, with the studio down in between. At the end every hour is run once more, and the
tables must equal a slow, obvious reference over all versions that were captured, and a lake built
at once from the studio's last state must hold the same newest versions.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_platform.cleaned.checks import check_events
from kpi_platform.schemas.attributes import attribute
from kpi_platform.storage.studio_databases import TransientWarehouseError
from kpi_platform_tests.arrivals.studios.studio_world import (
    START,
    StudioWorld,
    hour,
    purchase,
    purchases,
)

HOURS = 5
Row = tuple[int, int, int, bool]  # key, minute of the last change, cents, taken back


@dataclass(frozen=True)
class Move:
    """Rows that the studio writes (each replaces the one with its key), then hours to run."""

    rows: Sequence[Row]
    hours: Sequence[int]
    is_down: bool


ROWS = st.tuples(
    st.integers(1, 5), st.integers(-90, HOURS * 60 - 1), st.integers(1, 3), st.booleans()
)
MOVES = st.builds(
    Move,
    st.lists(ROWS, max_size=3),
    st.lists(st.integers(0, HOURS - 1), min_size=1, max_size=3, unique=True),
    st.sampled_from([False, False, False, True]),
)


def written(row: Row) -> dict[str, object]:
    key, minute, cents, gone = row
    at = START + timedelta(minutes=minute)
    return purchase(key, at, cents, session=f"s{key % 2}", gone=gone)


def expected(world: StudioWorld) -> list[tuple[datetime, str, str]]:
    """The newest version of every key among all captured, in the hour of its watermark."""
    newest: dict[str, tuple[datetime, int, datetime, str, bool]] = {}
    for row in world.lake.scan("raw_studio_events").collect().to_dicts():
        if row["table_name"] != "purchases":
            continue
        of_hour = max(START, row["watermark_at"].replace(minute=0, second=0))
        version = (row["watermark_at"], row["content_hash"], of_hour, row["row"], False)
        if row["row_key"] not in newest or version[:2] > newest[row["row_key"]][:2]:
            newest[row["row_key"]] = version
    return sorted(
        (of_hour, key, text.split('"cents":"')[1].split('"')[0])
        for key, (_, _, of_hour, text, _) in newest.items()
        if '"gone":"false"' in text
    )


def found(world: StudioWorld) -> list[tuple[datetime, str, str]]:
    rows = world.lake.scan("cleaned_events").collect()
    made = rows.select(
        pl.col("p_ingest_date_utc").cast(pl.Datetime("us", "UTC"))
        + pl.duration(hours="p_ingest_hour_utc"),
        attribute("id"),
        attribute("cents"),
    )
    return sorted(made.iter_rows())


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MOVES, min_size=1, max_size=5))
def test_hours_in_any_order_again_and_changed(moves: list[Move]) -> None:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        world = StudioWorld(Path(folder) / "live")
        state: dict[int, Row] = {}
        for move in moves:
            state |= {row[0]: row for row in move.rows}
            world.warehouse.tables["purchases"] = purchases([written(r) for r in state.values()])
            world.warehouse.is_down = TransientWarehouseError("gone") if move.is_down else None
            world.run([hour(number) for number in move.hours])
            assert found(world) == expected(world)
        world.warehouse.is_down = None
        every = [hour(number) for number in range(HOURS)]
        world.run(every)
        assert found(world) == expected(world)
        assert all(check.passed for check in check_events(world.lake, every, 1))
        before = world.versions_of_tables()
        world.run(list(reversed(every)))
        assert world.versions_of_tables() == before
        scratch = StudioWorld(Path(folder) / "scratch", world.warehouse)
        scratch.run(every)
        sessions = [w.lake.scan("sessions").collect().sort(pl.all()) for w in (world, scratch)]
        keys = {row[1] for row in found(world)}
        if {row[1] for row in found(scratch)} == keys and found(world) == found(scratch):
            assert sessions[0].equals(sessions[1])
