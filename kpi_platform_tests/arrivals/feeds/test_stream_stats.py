"""Several rows of one game and hour: parts, samples, or a contradiction that is named."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import polars as pl
import pytest

from kpi_platform.arrivals.feeds.stream_stats import Statements, contradictions, stream_stats
from kpi_platform.schemas.sources_file.source_tables import RowsAre, StreamFeed
from kpi_platform.schemas.sources_file.stream_figures import stream_rows
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.texts.json_text import write_json

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
Figures = tuple[float, int | None, int | None, float | None]


def stated(*figures: Figures, source: str = "twitch", ingested: int = 5) -> pl.DataFrame:
    """Rows about one game and hour, ingested in an hour of the day."""
    rows = [
        {
            "source": source, "studio": "s", "game": "g", "hour": HOUR,
            "average_viewers": average, "peak_viewers": peak, "channels": channels,
            "hours_streamed": hours, "file_name": "f", "line_number": number,
            "p_ingest_date_utc": HOUR.date(), "p_ingest_hour_utc": ingested,
        }
        for number, (average, peak, channels, hours) in enumerate(figures, start=1)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=TABLES["raw_stream_feed"].polars_schema)


def told(rows: pl.DataFrame, rows_are: RowsAre, *, is_keyed: bool = False) -> list[Figures]:
    statements = Statements({"twitch": rows_are}, ["twitch"] if is_keyed else [])
    columns = ("average_viewers", "peak_viewers", "channels", "hours_streamed")
    found: list[Figures] = stream_stats(rows, statements).select(columns).rows()
    return found


def test_parts_are_added_and_samples_averaged() -> None:
    rows = stated((10.0, 20, 1, 1.0), (30.0, 70, 2, None), (20.0, 30, 4, 0.5))
    assert told(rows, "parts") == [(60.0, 120, 7, 1.5)]
    assert told(rows, "samples") == [(20.0, 70, 2, 0.75)]


def test_rows_that_contradict_each_other_count_for_nothing_and_are_named() -> None:
    rows = pl.concat(
        [stated((10.0, 20, 1, 1.0), (30.0, 70, 2, 1.0)), stated((5.0, 9, 1, 1.0), source="yt")]
    )
    assert told(rows, "wholes") == [(5.0, 9, 1, 1.0)]
    named = contradictions(rows).select("source", "rows").rows()
    assert named == [("twitch", 2)]
    assert contradictions(rows, Statements({"twitch": "parts"})).is_empty()


def test_rows_that_say_the_same_do_not_contradict() -> None:
    rows = stated((10.0, 20, None, 1.0), (10.0, 20, None, 1.0))
    assert told(rows, "wholes") == [(10.0, 20, None, 1.0)] and contradictions(rows).is_empty()


@pytest.mark.parametrize("rows_are", ["wholes", "parts", "samples"])
def test_a_later_file_replaces_a_statement_and_a_later_row_of_a_table_joins_it(
    rows_are: RowsAre,
) -> None:
    rows = pl.concat([stated((10.0, 20, 1, 1.0)), stated((30.0, 70, 3, 3.0), ingested=6)])
    assert told(rows, rows_are) == [(30.0, 70, 3, 3.0)]
    joined = told(rows, rows_are, is_keyed=rows_are != "wholes")
    assert joined == [
        {"wholes": (30.0, 70, 3, 3.0), "parts": (40.0, 90, 4, 4.0), "samples": (20.0, 70, 2, 2.0)}[
            rows_are
        ]
    ]


def test_no_sum_depends_on_the_order_of_rows() -> None:
    rows = stated((0.1, 1, 1, 0.1), (0.2, 2, 1, 0.7), (0.3, 3, 1, 0.2))
    for use in ("parts", "samples"):
        results = {tuple(told(rows[list(order)], use)) for order in permutations(range(3))}
        assert len(results) == 1


@pytest.mark.parametrize(
    ("hour", "reason"),
    [
        ("1970-01-01T00:00:00Z", "implausible_timestamp"),
        ("2062-01-01T00:00:00Z", "future_timestamp"),
        ("2026-01-01T05:30:00Z", None),
        ("5 o'clock", "bad_timestamp"),
    ],
)
def test_hours_that_cannot_be_are_told(hour: str, reason: str | None) -> None:
    feed = StreamFeed.model_validate(
        {"kind": "stream", "folder": "f", "hour": "h", "average_viewers": "a"}
    )
    row = {
        "source": "s", "row": write_json({"h": hour, "a": "1"}), "file_name": "f",
        "line_number": 1, "p_ingest_date_utc": HOUR.date(), "p_ingest_hour_utc": 5,
    }  # fmt: skip
    rows = pl.DataFrame([row]).with_columns(pl.col("p_ingest_hour_utc").cast(pl.Int32))
    good, bad = stream_rows(rows, feed, "s", "g", timedelta(hours=24))
    assert (bad["reason"].to_list() or [None]) == [reason]
    assert good["hour"].to_list() == ([] if reason else [HOUR])
