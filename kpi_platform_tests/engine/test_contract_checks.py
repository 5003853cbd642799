"""The contract check of stored hours: what breaks the contract is found and named, hour by hour."""

from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from deltalake import write_deltalake

from kpi_platform.engine import contract_checks
from kpi_platform.engine.contract_checks import check_contract
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES, QuarantinedEvents, RawTelemetry
from kpi_platform.storage.lake.lake import Lake

HOURS = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (5, 6, 7)]
TABLE = "quarantined_events"
RAW = RawTelemetry.to_polars_schema()
AN_EVENT = {
    **dict.fromkeys(("source", "category", "service_name", "title_session_id", "file_name"), "s"),
    "event_timestamp_utc": HOURS[0],
    "title_transaction_id": 1,
    "event_name": "A",
    "raw_line": None,
    "p_ingest_date_utc": HOURS[0].date(),
    "p_ingest_hour_utc": 5,
}


def line(hour: int, number: int = 1, **changes: object) -> dict[str, object]:
    fields = {"source": "s", "reason": "r", "raw_line": "x", "file_name": "f", "p_stage": "read"}
    place = {"p_ingest_date_utc": HOURS[0].date(), "p_ingest_hour_utc": hour}
    return {**fields, **place, "line_number": number, **changes}


def found(folder: Path, *lines: dict[str, object]) -> list[tuple[bool, dict[str, object]]]:
    rows = pl.DataFrame(list(lines), schema=QuarantinedEvents.to_polars_schema())
    # Written as nobody should: without the lake, which would refuse some of it.
    write_deltalake(str(folder / TABLE), rows, partition_by=list(TABLES[TABLE].partition_by))
    checks = check_contract(Lake(str(folder)), TABLE, HOURS)
    assert [check.hour for check in checks] == HOURS
    return [(check.passed, dict(check.figures)) for check in checks]


def test_sound_hours_tell_their_rows(tmp_path: Path) -> None:
    with patch.object(contract_checks, "ROWS_AT_A_TIME", 1):
        checks = found(tmp_path, line(5), line(5, 2), line(7))
    assert checks == [(True, {"rows": 2}), (True, {"rows": 0}), (True, {"rows": 1})]


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([line(5, source=None)], "source|nullability"),
        ([line(5, 0)], "line_number|min"),
        ([line(5, p_stage="late")], "p_stage|regex"),
        ([line(5), line(5)], "primary_key"),
        ([line(5, raw_line="x"), *(line(5, n) for n in range(2, 600)), line(5)], "primary_key"),
    ],
)
def test_a_violation_is_named_in_its_hour_alone(
    tmp_path: Path, lines: list[dict[str, object]], rule: str
) -> None:
    with patch.object(contract_checks, "ROWS_AT_A_TIME", 100):
        (first, figures), second, third = found(tmp_path, *lines, line(6))
    assert not first
    assert rule in figures
    assert second == (True, {"rows": 1})
    assert third == (True, {"rows": 0})


@pytest.mark.parametrize("body", [None, "x"])
def test_texts_are_judged_by_what_the_files_say_of_them(tmp_path: Path, body: str | None) -> None:
    rows = pl.DataFrame(
        [(body, 1), ("y", 2)], schema=["body_message", "line_number"], orient="row"
    ).select(pl.lit(AN_EVENT[n]).alias(n) if n in AN_EVENT else n for n in RAW)
    place = str(tmp_path / "raw_telemetry")
    write_deltalake(place, rows.cast(dict(RAW)), partition_by=list(INGEST_HOUR))
    lake = Lake(str(tmp_path))
    assert ("body_message" in lake.columns_without_nulls("raw_telemetry", HOURS)) == bool(body)
    (first, *others) = check_contract(lake, "raw_telemetry", HOURS)
    assert first.passed == bool(body)
    assert ("body_message|nullability" in first.figures) != bool(body)
    assert all(check.passed for check in others)
