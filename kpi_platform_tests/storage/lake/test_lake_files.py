"""Which files a look at some hours or some stretches of time opens, against slow references."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.delta.lake_files import MOST_ISLANDS, islands, meets
from kpi_platform.storage.lake.lake import Lake, hours_expression, hours_predicate

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
some_hours = st.lists(st.integers(-30, 24 * 9), max_size=60).map(
    lambda numbers: [START + number * HOUR for number in numbers]
)
whole_days = st.lists(st.integers(0, 9), max_size=6).map(
    lambda days: [START + (day * 24 + hour) * HOUR for day in days for hour in range(24)]
)


def rows_of_hours() -> pl.DataFrame:
    """A row per hour from two days before to twelve days after the start."""
    hours = [START + number * HOUR for number in range(-48, 24 * 12)]
    return pl.DataFrame(
        {
            "p_ingest_date_utc": [hour.date() for hour in hours],
            "p_ingest_hour_utc": [hour.hour for hour in hours],
            "hour": hours,
        },
        schema_overrides={"p_ingest_hour_utc": pl.Int32},
    )


@given(some_hours, whole_days)
@settings(deadline=None, max_examples=40)
def test_both_conditions_are_true_for_exactly_the_hours(
    some: list[datetime], days: list[datetime]
) -> None:
    rows, wanted = rows_of_hours(), {*some, *days}
    right = [hour for hour in rows["hour"] if hour in wanted]
    assert rows.filter(hours_expression(wanted))["hour"].to_list() == right
    predicate = hours_predicate(wanted) or "false"
    found = duckdb.sql(
        f"select p_ingest_date_utc d, p_ingest_hour_utc h from rows where {predicate}"
    )
    there = {(hour.date(), hour.hour) for hour in right}
    assert set(found.fetchall()) == there


def test_a_year_of_whole_days_is_one_term() -> None:
    year = [START + number * HOUR for number in range(8760)]
    assert hours_predicate(year).count("BETWEEN") == 1
    assert " OR " not in hours_predicate(year)


def test_the_expression_is_as_deep_for_years_as_for_a_day() -> None:
    def depth(days: int) -> int:
        hours = [START + day * 24 * HOUR for day in range(days)]
        return len(re.findall(r"\[\(", str(hours_expression(hours))))

    assert depth(3650) == depth(1)


instants = st.integers(0, 10_000).map(lambda minutes: START + timedelta(minutes=minutes))
pairs = st.lists(st.tuples(instants, st.integers(0, 300)), min_size=1, max_size=40).map(
    lambda drawn: [(first, first + timedelta(minutes=length)) for first, length in drawn]
)


@given(pairs, instants, st.integers(0, 200))
@settings(deadline=None)
def test_what_meets_a_pair_meets_its_island(
    times: list[tuple[datetime, datetime]], at: datetime, length: int
) -> None:
    kind = pl.Datetime("us", "UTC")
    since, until = (pl.Series([pair[n] for pair in times], dtype=kind) for n in (0, 1))
    found = islands(since, until)
    assert 1 <= found.height <= MOST_ISLANDS
    assert found["first"].min() == since.min()
    assert found["last"].max() == until.max()
    end = at + timedelta(minutes=length)
    row = pl.DataFrame({"least": [at], "greatest": [end]}, schema={"least": kind, "greatest": kind})
    is_met = row.select(meets(pl.col("least"), pl.col("greatest"), found)).item()
    if any(first <= end and last >= at for first, last in times):
        assert is_met
    elif is_met:
        # Only what lies in a short gap between pairs may come along.
        assert any(first <= end and last >= at for first, last in found.iter_rows())


def test_of_many_stretches_those_nearest_to_each_other_are_one() -> None:
    firsts = [START + day * 24 * HOUR for day in range(40)]
    firsts[20:] = [each + 400 * HOUR for each in firsts[20:]]
    kind = pl.Datetime("us", "UTC")
    found = islands(pl.Series(firsts, dtype=kind), pl.Series(firsts, dtype=kind))
    assert found.height <= MOST_ISLANDS
    assert not any(
        first < firsts[20] - HOUR < last and last >= firsts[20] for first, last in found.iter_rows()
    )


def test_an_event_thirty_days_late_does_not_open_the_days_between(tmp_path: Path) -> None:
    lake, schema = Lake(str(tmp_path)), TABLES["sightings"].polars_schema
    hours = [START + day * 24 * HOUR for day in range(6)]
    for hour in hours:
        row = dict.fromkeys(schema) | {
            "source": "s",
            "service_name": "a",
            "session_id": "1",
            "version": "1.0",
            "device": "pc",
            "event_id": f"e{hour.day}",
            "event_at": hour,
            "transaction_id": 1,
            "p_ingest_date_utc": hour.date(),
            "p_ingest_hour_utc": hour.hour,
        }
        row = {name: value for name, value in row.items() if name in schema}
        lake.replace_hours("sightings", pl.DataFrame([row], schema, orient="row"), [hour])
    between = [date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 4), date(2026, 1, 5)]
    for day in between:
        for file in Path(lake.path("sightings")).glob(f"p_ingest_date_utc={day}/**/*.parquet"):
            file.write_bytes(b"not read")
    ends = pl.Series([hours[0], hours[-1]])
    found = lake.scan_span("sightings", ("event_at", "event_at"), ends, ends).collect()
    assert sorted(found["event_at"].to_list()) == [hours[0], hours[-1]]
