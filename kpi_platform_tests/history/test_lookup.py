"""Which version was in effect: half-open intervals, gaps, several devices, many events at once."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.history import lookup
from kpi_platform.history.lookup import version_at, versions_as_of

START = datetime(2026, 1, 1, tzinfo=UTC)
UTC_TIME = pl.Datetime("us", "UTC")


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


INTERVALS = pl.DataFrame(
    [
        ("p1", "game", "deck", "1.0", at(10), at(20)),
        ("p1", "game", "deck", "1.1", at(20), None),
        ("p1", "game", "phone", "1.0", at(15), None),
        ("p1", "another", "deck", "7.0", at(5), None),
        ("p2", "game", "deck", "2.0", at(0), None),
    ],
    schema={
        "player_id": pl.String,
        "service_name": pl.String,
        "device": pl.String,
        "version": pl.String,
        "valid_from": UTC_TIME,
        "valid_to": UTC_TIME,
    },
    orient="row",
)


def versions(minute: int, service: str | None = None, device: str | None = None) -> list[str]:
    return version_at(INTERVALS, "p1", at(minute), service, device)["version"].to_list()


@pytest.mark.parametrize(
    ("minute", "version"), [(9, []), (10, ["1.0"]), (19, ["1.0"]), (20, ["1.1"]), (999, ["1.1"])]
)
def test_an_interval_holds_its_first_instant_and_not_its_last(
    minute: int, version: list[str]
) -> None:
    assert versions(minute, "game", "deck") == version


def test_without_service_or_device_every_version_in_effect_comes_back_in_order() -> None:
    assert versions(30) == ["7.0", "1.1", "1.0"]
    assert versions(30, service="game") == ["1.1", "1.0"]
    assert versions(30, device="deck") == ["7.0", "1.1"]
    assert versions(4) == []
    assert version_at(INTERVALS, "nobody", at(30)).is_empty()


def test_a_time_means_the_same_instant_in_every_zone_and_needs_one() -> None:
    zoned = datetime.fromisoformat("2026-01-01T01:20:00+01:00")
    assert version_at(INTERVALS, "p1", zoned, "game", "deck")["version"].to_list() == ["1.1"]
    with pytest.raises(ValueError, match="needs an offset"):
        version_at(INTERVALS, "p1", START.replace(tzinfo=None))


def asked(*rows: tuple[str, int], **columns: str) -> pl.DataFrame:
    events = pl.DataFrame(
        [(player, at(minute)) for player, minute in rows],
        schema={"player_id": pl.String, "at": UTC_TIME},
        orient="row",
    )
    return events.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


@pytest.fixture(autouse=True, params=["paired", "sorted"], scope="module")
def _both_ways(request: pytest.FixtureRequest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "FEW_INTERVALS", 16 if request.param == "paired" else 0)
        yield


def test_each_event_of_a_service_and_device_comes_back_once_in_its_place() -> None:
    events = asked(("p1", 25), ("p1", 9), ("nobody", 1), ("p2", 1), ("p1", 10))
    found = versions_as_of(
        events.with_columns(service_name=pl.lit("game"), device=pl.lit("deck")), INTERVALS
    )
    assert found["version"].to_list() == ["1.1", None, None, "2.0", "1.0"]
    assert found["player_id"].to_list() == events["player_id"].to_list()
    assert found.columns == [
        "player_id", "at", "service_name", "device", "version", "valid_from", "valid_to"
    ]  # fmt: skip


def test_events_without_service_or_device_come_back_once_per_version_in_effect() -> None:
    found = versions_as_of(asked(("p1", 30), ("p1", 4)), INTERVALS)
    assert found.select("at", "service_name", "device", "version").rows() == [
        (at(30), "another", "deck", "7.0"),
        (at(30), "game", "deck", "1.1"),
        (at(30), "game", "phone", "1.0"),
        (at(4), None, None, None),
    ]
    one_device = versions_as_of(asked(("p1", 30), device="deck"), INTERVALS)
    assert one_device["version"].to_list() == ["7.0", "1.1"]


def test_nothing_asked_and_nothing_known_give_typed_frames() -> None:
    some = versions_as_of(asked(("p1", 30)), INTERVALS)
    assert versions_as_of(asked(), INTERVALS).schema == some.schema
    unknown = versions_as_of(asked(("p1", 30)), INTERVALS.clear())
    assert unknown.schema == some.schema
    assert unknown["version"].to_list() == [None]


@given(st.lists(st.tuples(st.sampled_from(["p1", "p2", "nobody"]), st.integers(0, 25))))
@settings(max_examples=50, deadline=None)
def test_many_events_at_once_get_what_one_lookup_gives(questions: list[tuple[str, int]]) -> None:
    found = versions_as_of(asked(*questions), INTERVALS)
    one_by_one = [
        (player, at(minute), row["service_name"], row["device"], row["version"])
        for player, minute in questions
        for row in version_at(INTERVALS, player, at(minute)).to_dicts() or [EMPTY]
    ]
    columns = ["player_id", "at", "service_name", "device", "version"]
    assert found.select(columns).rows() == one_by_one


EMPTY = {"service_name": None, "device": None, "version": None}
