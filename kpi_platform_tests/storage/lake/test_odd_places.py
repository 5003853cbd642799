"""A lake in a folder of any name: read by each way of reading, or refused in one line."""

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, LakeError
from kpi_platform.storage.lake.lake_query import run_query
from kpi_platform_tests.storage.lake.test_lake import _session

FIVE = datetime(2026, 1, 1, 5, tzinfo=UTC)
NAMES = st.text("ab c#%?+&'\"-*{}<>:;,~$@!()éß日ü.=", min_size=1, max_size=8).filter(
    lambda name: set(name) != {"."} and not re.search(r"%[0-9a-fA-F]{2}", name)
)


def _sighting(event: str) -> pl.DataFrame:
    row = (event, "s", "svc", "x", FIVE, 1, "1.0", None, None, FIVE.date(), FIVE.hour)
    return pl.DataFrame([row], schema=TABLES["sightings"].polars_schema, orient="row")


def _count(lake: Lake, table: str) -> int:
    with run_query(lake, f"select count(*) from {table}") as found:
        [(rows,)] = found.fetchall()
    return int(rows)


@settings(max_examples=12, deadline=None)
@given(NAMES)
@example("a b#c")
@example("-x")
@example("100%")
@example("a?b&c+d")
@example("*")
@example("'\"é")
@example("env=prod")
@example("p_ingest_hour_utc=5")
def test_every_way_of_reading_finds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    above = tmp_path_factory.mktemp("odd")
    # A neighbour that the name taken for a pattern would find as well.
    for folder in (name.replace("*", "x").replace("?", "x"), name):
        lake = Lake(str(above / folder / "lake"))
        lake.replace_hours("sightings", _sighting("a"), [FIVE])
        lake.replace_hours("sightings", _sighting("b"), [FIVE])
        lake.publish("kpi_daily", pl.DataFrame({"dau": [1]}), None)
    at = pl.Series([FIVE])
    published = lake.published("kpi_daily")
    assert published is not None
    assert published.collect()["dau"].to_list() == [1]
    assert lake.scan("sightings").filter(event_id="b").collect().height == 1
    assert lake.read_hours("sightings", [FIVE])["event_id"].to_list() == ["b"]
    assert lake.scan_span("sightings", ("event_at", "event_at"), at, at).collect().height == 1
    parts = lake.partitions("sightings")
    assert [parts.read(key).height for key in parts.signatures] == [1]
    assert (_count(lake, "sightings"), _count(lake, "kpi_daily")) == (1, 1)
    assert lake.tables() == ["published/kpi_daily", "sightings"]
    lake.delete("sightings", "event_id = 'b'")
    assert lake.read_hours("sightings", [FIVE]).is_empty()
    session = _session("a", FIVE)
    lake.apply_changes("sessions", session, session.clear())
    lake.apply_changes("sessions", session, session)
    assert lake.scan("sessions").collect()["session_id"].to_list() == ["a"]


@pytest.mark.parametrize("name", ["[x]", "a%20b", "a|b", "a^b", "a\\b", "a\nb"])
def test_a_folder_that_the_library_cannot_take_is_refused_in_one_line(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(LakeError, match=r"^KPI_LAKE_URI: [^\n]*name[^\n]*$"):
        Lake(str(tmp_path / name / "lake"))
    assert not (tmp_path / name).exists()
