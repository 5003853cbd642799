"""What was told and is otherwise now is found as a slow reference finds it, figure by figure."""

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.published.pages.report_words import shown
from kpi_platform.reports.corrections import FIGURE, corrections
from kpi_platform.reports.due_days import days_to_tell, deadline
from kpi_platform.schemas.kpi_definitions import read_definitions
from kpi_platform.schemas.restatement_limits import Limit
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.reports.conftest import DAWN, DAY, NOON, ONE_DAY

TODAY = date(2026, 3, 10)
LIMIT = Limit()
DEFINITIONS = [d for d in read_definitions(read_manifest()) if d.kpi in ("dau", "revenue_usd")]
UNITS = {each.kpi: each.shown_unit for each in DEFINITIONS}
VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 100.0, 100.004, 103.0, 106.0, 1e6]))
# What is known of a figure: its value, and whether it is complete.
Said = tuple[float | None, bool]
SAID = st.tuples(VALUES, st.booleans())
FIGURES = st.dictionaries(
    st.tuples(st.integers(0, 3), st.sampled_from(["all", "north"]), st.sampled_from(sorted(UNITS))),
    st.tuples(SAID, st.one_of(st.none(), SAID)),
    max_size=12,
)


def is_told(kpi: str, told: Said, now: Said | None) -> bool:
    """Whether a figure is to be corrected, by the words of the semantics."""
    old, was_complete = told
    new, is_complete = now if now is not None else (None, was_complete)
    if not is_complete or old == new:
        return False
    if not was_complete:
        return shown(old, UNITS[kpi]) != shown(new, UNITS[kpi])
    change = abs((new or 0.0) - (old or 0.0))
    is_rate = abs(old or 0.0) <= 1 and abs(new or 0.0) <= 1
    enough = change >= LIMIT.units or is_rate
    return enough and (old is None or change >= LIMIT.share * abs(old))


@settings(deadline=None, max_examples=150)
@given(FIGURES)
def test_a_figure_is_corrected_if_the_reference_says_so(
    figures: dict[tuple[int, str, str], tuple[Said, Said | None]],
) -> None:
    names = [*FIGURE, "value", "is_complete"]
    told, now, expected, waiting = [], [], set(), set()
    for (number, studio, kpi), (before, after) in figures.items():
        day = TODAY - timedelta(days=number)
        told.append((day, studio, "all", kpi, *before))
        if after is not None:
            now.append((day, studio, "all", kpi, *after))
        if is_told(kpi, before, after):
            expected.add((day, studio, kpi))
        if not (after[1] if after is not None else before[1]):
            waiting.add(day)
    types = [pl.Date, pl.String, pl.String, pl.String, pl.Float64, pl.Boolean]
    schema = dict(zip(names, types, strict=True))
    frames = [pl.DataFrame(rows, schema=schema, orient="row") for rows in (told, now)]
    found = corrections(*frames, LIMIT, DEFINITIONS, {"north": "North"}, TODAY)
    assert len(found.lines) == len(expected)
    assert found.waiting == tuple(sorted(waiting))
    # What was said is known from now on: said again, there is nothing to correct.
    after_all = frames[0].update(found.told, on=FIGURE, include_nulls=True)
    again = corrections(after_all, frames[1], LIMIT, DEFINITIONS, {}, TODAY)
    assert again.lines == ()


def test_days_are_told_in_order_none_twice_and_no_week_of_old_ones() -> None:
    assert days_to_tell(None, date(2020, 1, 1), DAWN) == [DAY]
    assert days_to_tell(DAY, date(2020, 1, 1), DAWN) == []
    assert days_to_tell(None, DAY + ONE_DAY, DAWN) == []
    assert days_to_tell(DAY - 2 * ONE_DAY, date(2020, 1, 1), DAWN) == [DAY - ONE_DAY, DAY]
    assert len(days_to_tell(DAY - 40 * ONE_DAY, date(2020, 1, 1), DAWN)) == 7
    assert deadline(DAY, 12) == NOON
