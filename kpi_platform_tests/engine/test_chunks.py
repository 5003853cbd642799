"""A commit holds buffers for every hour it writes: of a year's it must not hold all."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.engine.hour_steps import MOST_HOURS, Done, work_through
from kpi_platform.storage.lake.lake import Lake

HOURS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(2000)]


class _Counting:
    """A step that does nothing but count how many hours it is asked to work on at once."""

    table = "raw_telemetry"
    hours_stand_alone = True

    def __init__(self) -> None:
        self.chunks: list[Sequence[datetime]] = []

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        return dict.fromkeys(hours, "files")

    def weight(self, _: datetime) -> int:
        return 1

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        self.chunks.append(hours)
        return dict.fromkeys(hours, Done("rows", 1))

    def fail(self, hour: datetime, error: str) -> None:
        raise AssertionError(f"{hour} failed: {error}")


@pytest.mark.parametrize(("limit", "most"), [(10**9, MOST_HOURS), (500, 500)])
def test_light_hours_are_worked_on_by_the_month(tmp_path: Path, limit: int, most: int) -> None:
    step, lake = _Counting(), Lake(str(tmp_path))
    reports = [report for part in work_through(lake, step, HOURS, limit) for report in part]
    assert [hour for chunk in step.chunks for hour in chunk] == HOURS
    assert [report.hour for report in reports] == HOURS
    assert max(map(len, step.chunks)) == most
