"""Hours as people type them: a key or a range that names no hour is refused, with the right one."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._cli import create_dagster_cli

from kpi_platform.orchestration.partitions import PartitionKeyError, hourly_partitions

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = hourly_partitions(START)


@pytest.mark.parametrize(
    "typed",
    ["2026-01-01-22:30", "2026-01-01-22", "2026-01-01T22:00", "2026-01-01T22:59Z", "2026-1-1 22"],
)
def test_a_key_that_names_no_hour_is_refused_with_the_one_that_was_meant(typed: str) -> None:
    assert not HOURS.has_partition_key(typed)
    with pytest.raises(PartitionKeyError, match=r"names no hour: write 2026-01-01-22:00$"):
        HOURS.validate_partition_key(typed, None)


@pytest.mark.parametrize("typed", ["2025-12-31-23:00", "2999-01-01-00:00"])
def test_an_hour_outside_the_platform_is_refused_with_its_hours(typed: str) -> None:
    with pytest.raises(PartitionKeyError, match="its hours go from 2026-01-01-00:00 to 20"):
        HOURS.validate_partition_key(typed, None)


def test_what_is_no_time_is_refused_with_an_example() -> None:
    with pytest.raises(PartitionKeyError, match=r"write it like 2026-01-01-00:00, in UTC$"):
        HOURS.validate_partition_key("yesterday", None)


def test_every_whole_hour_is_taken() -> None:
    keys = HOURS.get_partition_keys(current_time=datetime(2026, 1, 3, tzinfo=UTC))
    assert len(keys) == 48
    for key in keys:
        HOURS.validate_partition_key(key, None)
    ends = dg.PartitionKeyRange(keys[0], keys[-1])
    assert list(HOURS.get_partition_keys_in_range(ends)) == keys
    assert list(HOURS.get_partition_keys_in_range(dg.PartitionKeyRange(keys[5], keys[5]))) == [
        keys[5]
    ]


@dg.asset(partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.single_run())
def hourly() -> None:
    """Does nothing: what is typed is what is tried."""


defs = dg.Definitions(assets=[hourly])


@pytest.mark.parametrize(
    ("option", "typed", "line"),
    [
        (
            "--partition-range",
            "2026-01-01-23:00...2026-01-01-22:00",
            "Error: the range 2026-01-01-23:00...2026-01-01-22:00 ends before it begins: "
            "write 2026-01-01-22:00...2026-01-01-23:00",
        ),
        (
            "--partition-range",
            "2026-01-01-21:00...2026-01-01-22:30",
            "Error: 2026-01-01-22:30 names no hour: write 2026-01-01-22:00",
        ),
        (
            "--partition",
            "2026-01-01-22:30",
            "Error: 2026-01-01-22:30 names no hour: write 2026-01-01-22:00",
        ),
    ],
)
def test_dagsters_own_command_ends_with_one_line(option: str, typed: str, line: str) -> None:
    command = ["asset", "materialize", "--select", "hourly", "-m", __name__, option, typed]
    ended = CliRunner().invoke(create_dagster_cli(), command)
    assert ended.exit_code == 1
    assert line in ended.output
    assert "Traceback" not in ended.output
