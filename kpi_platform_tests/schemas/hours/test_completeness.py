"""What is waited for equals the slow reference over random worlds; each sentence by example."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kpi_platform.schemas.hours.completeness import SourceBook, Wait, turned_hours, waits
from kpi_platform.schemas.hours.hour_ranges import Range, ranges_of
from kpi_platform_tests.kpis.reference.reference_completeness import HOUR, Arrivals, Known

START = datetime(2026, 1, 28)  # noqa: DTZ001
MANY = 12
HOURS = [START + n * HOUR for n in range(MANY)]
Grain = tuple[str | None, str | None]
GRAINS: list[Grain] = [(None, None), ("s", None), ("t", None), ("s", "g"), ("s", "h"), ("t", "g")]

subsets = st.sets(st.sampled_from(HOURS))
moments = st.none() | st.builds(
    lambda hour, minutes: hour + timedelta(minutes=minutes),
    st.sampled_from([START - HOUR, *HOURS, START + MANY * HOUR]),
    st.sampled_from([0, 0, 30]),
)


@st.composite
def worlds(draw: st.DrawFn) -> Arrivals:
    """Hours that ran or not, and sources of every kind; what did not run holds nothing."""
    ran = draw(subsets)
    sources = {}
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=4)):
        is_running = draw(st.booleans())
        is_named = draw(st.booleans())
        not_read = draw(subsets) & ran
        data = (draw(subsets) & ran) - not_read
        sources[name] = Known(
            draw(st.sampled_from(["s", "t"])),
            draw(st.sampled_from(["g", "h"])),
            draw(moments) if is_named else None,
            draw(moments) if is_named else None,
            is_running=is_running,
            is_named=is_named,
            data=data,
            closed=(draw(subsets) & ran) - not_read if is_running else set(),
            not_read=not_read,
        )
    return Arrivals(draw(st.sampled_from(HOURS[:3])), ran, sources)


def books(world: Arrivals) -> list[SourceBook]:
    """The world as the engine keeps it."""
    return [
        SourceBook(
            name,
            known.studio,
            known.game,
            "telemetry",
            known.since,
            known.until,
            is_named=known.is_named,
            is_running=known.is_running,
            first_hour=min(known.data, default=None),
            newest_hour=max(known.data, default=None),
            closed_hour=max(known.closed, default=None),
            not_read=tuple(ranges_of(known.not_read)),
        )
        for name, known in world.sources.items()
    ]


def found(world: Arrivals) -> list[Wait]:
    """What the engine says of the world."""
    return waits(world.start, ranges_of(h for h in world.ran if h >= world.start), books(world))


def is_complete(world: Arrivals, grain: Grain, start: datetime, end: datetime) -> bool:
    """What the models make of it."""
    return (
        bool(world.ran)
        and max(world.ran) + HOUR >= end
        and not any(
            (wait.studio, wait.game) == grain and wait.first_hour < end and wait.end_hour > start
            for wait in found(world)
        )
    )


@given(worlds(), st.sampled_from(GRAINS), st.integers(-1, MANY), st.integers(1, MANY))
def test_a_period_is_complete_as_the_reference_says(
    world: Arrivals, grain: Grain, first: int, length: int
) -> None:
    start = START + first * HOUR
    end = start + length * HOUR

    assert is_complete(world, grain, start, end) == world.is_complete(*grain, start, end)


@given(worlds(), worlds())
def test_every_hour_over_before_and_after_whose_flag_turns_is_among_the_turned(
    before: Arrivals, after: Arrivals
) -> None:
    """What is over only before or after is affected by the hours between the two nows."""
    over = min(max(world.ran, default=START - HOUR) for world in (before, after)) + HOUR
    turned = turned_hours(found(before), found(after), over)

    for hour in (hour for hour in HOURS if hour < over):
        span = (hour, hour + HOUR)
        is_turned = any(
            is_complete(before, grain, *span) != is_complete(after, grain, *span)
            for grain in GRAINS
        )
        assert not is_turned or any(first <= hour < end for first, end in turned)


def day(ran: Sequence[int], *sources: Known, until: int = 24) -> bool:
    """Whether the portfolio's first day is complete when these hours of it and the next ran."""
    ran_hours = {START + n * HOUR for n in ran}
    named = {str(number): source for number, source in enumerate(sources)}
    world = Arrivals(START, ran_hours, named)
    answer = is_complete(world, (None, None), START, START + until * HOUR)
    assert answer == world.is_complete(None, None, START, START + until * HOUR)
    return answer


def source(*data: int, **said: object) -> Known:
    """A source of one game with data in these hours."""
    return replace(Known("s", "g", data={START + n * HOUR for n in data}), **said)  # type: ignore[arg-type]


WHOLE = range(24)


def test_an_hour_never_run_has_arrived_for_nobody_whatever_came_later() -> None:
    every = source(*range(20, 30))
    assert not day(range(20, 30), every)
    assert not day([*range(10), *range(12, 30)], every)
    assert not day(range(20, 30), replace(every, is_named=False))
    assert day(range(30), every)
    # Before the first partition there is no ingest hour.
    early = Arrivals(START + 20 * HOUR, {START + n * HOUR for n in range(20, 30)}, {"a": every})
    assert is_complete(early, (None, None), START, START + 24 * HOUR)


def test_a_source_that_ended_is_not_waited_for() -> None:
    ended = source(0, 1, until=START + 5 * HOUR)
    assert day(WHOLE, ended)
    # No hour at or after its end has run, and nothing says that the fourth has arrived.
    assert not day(range(5), ended, until=5)
    assert day(range(6), ended, until=5)


def test_a_stray_folder_with_one_file_is_waited_for_in_no_hour() -> None:
    assert day(WHOLE, source(*WHOLE), source(3, is_named=False))


def test_a_source_without_since_is_active_from_its_first_hour_with_data() -> None:
    assert day(WHOLE, source(*WHOLE), source(20, 23))
    assert day(WHOLE, source(*WHOLE), source())
    assert not day(WHOLE, source(*WHOLE), source(since=START))
    assert not day(WHOLE, source(*WHOLE), source(20))


def test_a_source_added_years_later_is_vouched_for_by_the_runs_there_were() -> None:
    added = source(300, since=START)
    assert day([*WHOLE, *range(24, 301)], source(*WHOLE, 300), added)
    unread = replace(added, not_read={START + 5 * HOUR})
    assert not day([*WHOLE, *range(24, 301)], source(*WHOLE, 300), unread)
    assert day(
        [*WHOLE, *range(24, 301)], source(*WHOLE, 300), source(300, since=START + 299 * HOUR)
    )


def test_a_source_that_delivers_while_the_hour_lasts_needs_more_than_a_file() -> None:
    running = source(*WHOLE, is_running=True)
    assert not day(WHOLE, running)
    assert day(range(25), replace(running, data={*running.data, START + 24 * HOUR}))
    assert day(WHOLE, replace(running, closed={START + 23 * HOUR}))


def test_books_of_ten_years_without_a_hole_stay_small() -> None:
    ten_years = 87_600
    runs: list[Range] = [(START, START + ten_years * HOUR)]
    book = SourceBook("a", "s", "g", "telemetry", first_hour=START, newest_hour=runs[0][1] - HOUR)
    assert len(waits(START, runs, [book])) == 3  # what is yet to come, of game, studio, portfolio
