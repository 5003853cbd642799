"""The world of the benchmark is one that the platform could have made: held by the platform."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bench.history_lake import BY_HOUR, write_world
from bench.history_peers import duckdb_rebuild
from bench.history_world import HOUR, Population, event_rows, part_rows, session_rows, sighting_rows
from kpi_platform.cleaned.sessionization.session_parts import session_parts
from kpi_platform.cleaned.sessionization.sessions import fold_sessions
from kpi_platform.history.rebuild import rebuild_history
from kpi_platform.history.sightings import sightings
from kpi_platform.storage.lake.lake import Lake

FOLDED = ["user_version_history", "user_version_intervals"]
SMALL = Population(
    600,
    recent=200,
    recent_hours=12,
    dormant_hours=72,
    gap_hours=24,
    active_hours=6,
    returning_hours=(40, 60),
)
SILENCE = timedelta(hours=24)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lake = Lake(str(tmp_path_factory.mktemp("world")))
    write_world(lake, SMALL, [*FOLDED, *BY_HOUR])
    return lake


@pytest.mark.parametrize("rows_at_a_time", [100, 1_000_000])
def test_the_history_is_what_its_sightings_add_up_to(world, tmp_path, monkeypatch, rows_at_a_time):
    monkeypatch.setattr("kpi_platform.history.rebuild.ROWS_AT_A_TIME", rows_at_a_time)
    rebuild_history(world, Lake(str(tmp_path)))
    for table in FOLDED:
        key = ["player_id", *(["valid_from"] if table == "user_version_intervals" else [])]
        found, made = (
            lake.scan(table).sort(key).collect() for lake in (world, Lake(str(tmp_path)))
        )
        assert_frame_equal(found, made)
    assert world.scan("user_version_history").select(pl.len()).collect().item() == SMALL.players


def test_the_peer_in_sql_finds_the_same(world):
    duckdb_rebuild(Path(world.uri))
    for table, name in zip(FOLDED, ("history", "intervals"), strict=True):
        found = pl.read_parquet(f"{world.uri}/duckdb_{name}.parquet")
        key = ["player_id", *(["valid_from"] if name == "intervals" else [])]
        ours = world.scan(table).select(found.columns).sort(key).collect()
        assert_frame_equal(found.sort(key), ours)


def test_sessions_and_sightings_are_those_of_the_events():
    seen = SMALL.seen(60, 30)
    events = event_rows(seen)
    parts = session_parts(events, ["PlayerId"], SILENCE)
    key = ["session_id"]
    made = part_rows(seen)
    assert_frame_equal(parts.sort(key), made.sort(key))
    assert_frame_equal(
        fold_sessions(parts, SILENCE).sort(key),
        session_rows(seen).sort(key),
        check_column_order=False,
    )
    assert_frame_equal(sightings(events, ["PlayerId"]).sort(key), sighting_rows(seen).sort(key))


def test_an_active_hour_has_regulars_returning_and_new_players():
    active = SMALL.active(60)
    assert active.height == active["player_id"].n_unique() == 60
    assert active["at"].dt.truncate("1h").unique().to_list() == [HOUR]
    assert active.filter(pl.col("i") >= SMALL.players).height == 1
    ago = active.filter(pl.col("i") < SMALL.players).select(SMALL.last_ago()).to_series()
    assert ago.filter(ago > SMALL.active_hours).is_between(41, 60).to_list() == [True] * 3
