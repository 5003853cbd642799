"""The version history against the slow reference, and worked examples anyone can check by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kpi_platform.history.timeline import (
    fold_history,
    grow,
    intervals,
    not_later,
    runs_of,
    user_version_intervals,
)
from kpi_platform.schemas.tables import UserVersionHistory, UserVersionIntervals
from kpi_platform_tests.history.test_sightings import engine_attributed
from kpi_platform_tests.reference import (
    Event,
    cleaned_events,
    reference_history,
    reference_intervals,
)
from kpi_platform_tests.worlds import worlds

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int | None) -> datetime | None:
    return None if minute is None else START + timedelta(minutes=minute)


def attributed(*rows: tuple[int, str], **columns: str | int) -> pl.DataFrame:
    """Sightings as (minute, version) of one player, service and device unless told otherwise."""
    fixed = {
        "player_id": "p1",
        "service_name": "game",
        "device": "deck",
        "transaction_id": 0,
        "session_id": "s1",
    } | columns
    return pl.DataFrame(
        [{**fixed, "version": version, "event_at": at(minute)} for minute, version in rows],
        schema={
            "player_id": pl.String,
            "service_name": pl.String,
            "device": pl.String,
            "version": pl.String,
            "event_at": pl.Datetime("us", "UTC"),
            "transaction_id": pl.Int64,
            "session_id": pl.String,
            "event_id": pl.String,
        },
    ).with_columns(event_id=pl.format("e{}", pl.int_range(pl.len())))


def boundaries(*frames: pl.DataFrame) -> list[tuple[object, ...]]:
    runs = intervals(pl.concat(frames))
    return runs.select("version", "valid_from", "valid_to").rows()


def expected(*rows: tuple[str, int, int | None]) -> list[tuple[object, ...]]:
    return [(version, at(start), at(end)) for version, start, end in rows]


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_history_equals_the_reference_however_events_lie_in_hours(world: list[Event]) -> None:
    runs = intervals(engine_attributed(cleaned_events(world)))
    history = fold_history(runs)
    assert runs.to_dicts() == reference_intervals(world)
    assert history.to_dicts() == reference_history(world)
    UserVersionIntervals.validate(user_version_intervals(runs))
    UserVersionHistory.validate(history)


@given(worlds())
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_changes_nothing(world: list[Event]) -> None:
    sightings = engine_attributed(cleaned_events(world))
    assert intervals(sightings.reverse()).equals(intervals(sightings))
    runs = intervals(sightings)
    assert fold_history(runs.reverse()).equals(fold_history(runs))


def test_a_late_change_falls_into_its_place() -> None:
    # The example of the change-data literature: keys with sequences 5, 10, 15, then a late 12.
    in_order = attributed((5, "1.0"), (10, "1.1"), (15, "1.2"))
    assert boundaries(in_order) == expected(("1.0", 5, 10), ("1.1", 10, 15), ("1.2", 15, None))
    assert boundaries(in_order, attributed((12, "1.1.1"))) == expected(
        ("1.0", 5, 10), ("1.1", 10, 12), ("1.1.1", 12, 15), ("1.2", 15, None)
    )


def test_a_late_sighting_of_the_same_version_moves_no_boundary() -> None:
    known = attributed((5, "1.0"), (10, "1.0"), (15, "1.1"))
    late = attributed((7, "1.0"), session_id="s2")
    assert boundaries(known, late) == boundaries(known)
    assert intervals(pl.concat([known, late]))["sightings"].to_list() == [3, 1]


def test_a_late_sighting_earlier_than_the_run_moves_its_start_only() -> None:
    assert boundaries(attributed((5, "1.0"), (10, "1.1")), attributed((8, "1.1"))) == expected(
        ("1.0", 5, 8), ("1.1", 8, None)
    )


def test_going_back_to_an_older_version_is_a_run_like_any_other() -> None:
    frame = attributed((1, "1.10"), (2, "1.9"), (3, "1.10"))
    assert boundaries(frame) == expected(("1.10", 1, 2), ("1.9", 2, 3), ("1.10", 3, None))
    history = fold_history(intervals(frame)).to_dicts()
    assert [(row["current_version"], row["version_count"]) for row in history] == [("1.10", 2)]


def test_of_several_sightings_at_one_instant_only_the_last_counts() -> None:
    by_transaction = [
        attributed((1, "1.0")),
        attributed((2, "3.0"), transaction_id=1),
        attributed((2, "2.0"), transaction_id=2),
    ]
    assert boundaries(*by_transaction) == expected(("1.0", 1, 2), ("2.0", 2, None))
    by_session = [attributed((2, "3.0"), session_id="a"), attributed((2, "2.0"), session_id="b")]
    assert boundaries(*by_session) == expected(("2.0", 2, None))
    assert boundaries(attributed((2, "2.0"), (2, "3.0"))) == expected(("3.0", 2, None))


def test_a_run_ends_between_its_own_last_sighting_and_the_next_run() -> None:
    run = intervals(attributed((1, "1.0"), (4, "1.0"), (9, "1.1"))).row(0, named=True)
    assert (run["valid_from"], run["last_seen_at"], run["valid_to"]) == (at(1), at(4), at(9))
    assert run["sightings"] == 2


def test_devices_and_services_of_a_player_have_timelines_of_their_own() -> None:
    runs = intervals(
        pl.concat(
            [
                attributed((1, "1.0"), (5, "1.1")),
                attributed((3, "1.0"), device="phone"),
                attributed((4, "7.0"), service_name="another game"),
            ]
        )
    )
    assert runs["valid_to"].to_list() == [None, at(5), None, None]
    (row,) = fold_history(runs).to_dicts()
    places = [(entry["service_name"], entry["device"]) for entry in row["timeline"]]
    assert places == [
        ("another game", "deck"), ("game", "deck"), ("game", "deck"), ("game", "phone")
    ]  # fmt: skip
    assert (row["first_seen_at"], row["last_seen_at"]) == (at(1), at(5))
    assert (row["current_service"], row["current_device"]) == ("game", "deck")
    assert (row["current_version"], row["version_count"]) == ("1.1", 3)


def test_the_current_version_is_of_the_greatest_service_and_device_at_the_last_instant() -> None:
    runs = intervals(
        pl.concat(
            [
                attributed((5, "9.9"), service_name="a", device="z"),
                attributed((5, "1.0"), service_name="b", device="x"),
                attributed((5, "0.1"), service_name="b", device="y"),
            ]
        )
    )
    (row,) = fold_history(runs).to_dicts()
    assert (row["current_service"], row["current_device"]) == ("b", "y")
    assert row["current_version"] == "0.1"


def test_an_old_version_last_seen_last_on_another_device_is_current() -> None:
    runs = intervals(
        pl.concat(
            [
                attributed((1, "1.0"), (9, "1.0"), device="phone"),
                attributed((2, "1.0"), (8, "2.0"), device="deck"),
            ]
        )
    )
    assert fold_history(runs)["current_version"].to_list() == ["1.0"]


def test_no_sightings_give_empty_frames_of_the_same_types() -> None:
    some = intervals(attributed((1, "1.0")))
    none = intervals(attributed())
    assert none.is_empty() and none.schema == some.schema
    assert fold_history(none).schema == fold_history(some).schema
    assert user_version_intervals(none).schema == user_version_intervals(some).schema


def test_players_whose_names_sort_alike_stay_apart() -> None:
    frames = [attributed((1, "1.0"), player_id=name) for name in ("p1", "p10", "P1", "")]
    assert fold_history(intervals(pl.concat(frames)))["player_id"].to_list() == (
        ["", "P1", "p1", "p10"]
    )


SIGHTINGS = st.tuples(
    st.integers(0, 9), st.sampled_from("ABC"), st.sampled_from("xy"), st.integers(0, 1)
)


def tracks(rows: list[tuple[int, str, str, int]]) -> pl.DataFrame:
    seen = [
        attributed((minute, version), device=device, transaction_id=number)
        for minute, version, device, number in rows
    ]
    return pl.concat([attributed(), *seen])


@settings(max_examples=200, deadline=None)
@given(st.lists(SIGHTINGS, max_size=12), st.lists(SIGHTINGS, max_size=12))
def test_growing_by_later_sightings_equals_folding_all(
    first: list[tuple[int, str, str, int]], more: list[tuple[int, str, str, int]]
) -> None:
    earlier, others = tracks(first), tracks(more)
    runs = intervals(earlier)
    late = not_later(others, runs).select("device").unique()
    later = others.join(late, on="device", how="anti")
    grown = grow(runs, later)
    assert_frame_equal(grown, intervals(pl.concat([earlier, later])))
    assert_frame_equal(runs_of(fold_history(grown)), grown)


def test_growing_by_an_earlier_sighting_is_told_apart() -> None:
    runs = intervals(attributed((5, "A"), (7, "B")))
    asked = attributed((4, "A"), (7, "B"), (8, "B"), (6, "C"))
    assert sorted(not_later(asked, runs)["event_at"]) == [at(4), at(6), at(7)]
