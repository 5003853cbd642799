"""A client that stops sending what is read of it is named; small numbers and daily ups are not."""

import random
from datetime import datetime, timedelta

import polars as pl
import pytest

from kpi_platform.cleaned.carried_attributes import MOST_SERVICES, count_carried, summed
from kpi_platform.monitoring.attribute_drift import drifts

START = datetime(2026, 3, 1)  # noqa: DTZ001
HOURS = 6 * 24
BROKE = 5 * 24 + 7
EVENTS = {
    "hour": pl.Int32,
    **dict.fromkeys(("source", "service_name", "event_name", "attributes"), pl.String),
}


def world(
    events_per_hour: int, share_after: float, *, event_stops: bool = False, mends: bool = False
) -> pl.DataFrame:
    """Two services whose SoftwareVersion carries Version; one of them is broken in the end."""
    chance = random.Random(7)
    rows = []
    for number in range(HOURS):
        for service in ("broken", "sound"):
            is_mended = mends and number > BROKE + 3
            is_broken = service == "broken" and number >= BROKE and not is_mended
            share = share_after if is_broken else 1
            for _ in range(events_per_hour):
                named = not (is_broken and event_stops) and chance.random() < 0.5
                text = '{"Version":"1.0"}' if chance.random() < share else '{"version":"1.0"}'
                rows.append((number, "a", service, "SoftwareVersion" if named else "Else", text))
    events = pl.DataFrame(rows, EVENTS, orient="row")
    counts = summed([count_carried(events, events)])
    return counts.with_columns(hour=pl.lit(START) + pl.duration(hours=pl.col("hour")))


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_an_attribute_that_is_no_longer_sent_is_named_with_its_hour(share: float) -> None:
    [found] = drifts(world(60, share))

    assert (found.service, found.event, found.attribute) == ("broken", "SoftwareVersion", "Version")
    assert abs(found.since - (START + timedelta(hours=BROKE))) <= timedelta(hours=2 * bool(share))
    assert found.before == pytest.approx(1, abs=0.02)
    assert found.now == pytest.approx(share, abs=0.1)
    if not share:
        assert found.words() == (
            "broken (a): SoftwareVersion.Version in 0% of SoftwareVersion events since "
            "2026-03-06 07:00, in 100% before"
        )


def test_an_event_that_is_no_longer_sent_is_named() -> None:
    [found] = drifts(world(60, 1, event_stops=True))
    assert (found.service, found.event, found.attribute) == ("broken", "SoftwareVersion", "")
    assert found.since == START + timedelta(hours=BROKE)


def test_what_is_right_again_small_or_as_before_is_not_named() -> None:
    assert drifts(world(60, 0, mends=True)) == []
    assert drifts(world(1, 0.5)) == []
    assert drifts(world(60, 0.95)) == []
    assert drifts(world(60, 1)) == []
    assert drifts(world(60, 1).clear()) == []


def test_a_blank_or_nested_value_is_none_and_made_up_services_are_bounded() -> None:
    texts = ['{"Version":""}', '{"Version":null}', '{"Version":{"a":"b"}}', '{"Version":"1"}']
    rows = [(0, "a", "s", "SoftwareVersion", text) for text in texts]
    rows += [(0, "a", f"made up {n}", "Else", "{}") for n in range(MOST_SERVICES + 10)]
    events = [pl.DataFrame([row], EVENTS, orient="row") for row in rows]
    parts = [count_carried(each, each) for each in events]

    counts = summed(parts)

    version = counts.filter(attribute="Version")
    assert version.select("events", "carrying").rows() == [(4, 1)]
    assert counts["service_name"].n_unique() == MOST_SERVICES
