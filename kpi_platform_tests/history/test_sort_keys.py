"""A lake of a release without `version_sort_key` is given it, partition by partition, once."""

from datetime import timedelta
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

from kpi_platform.history.sort_keys import TABLE, add_sort_keys
from kpi_platform.history.timeline import user_version_intervals
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.version_keys import version_sort_key
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.kpis.builds import utc


def intervals() -> pl.DataFrame:
    """Intervals of three partitions, as the fold makes them."""
    starts = [utc(1), utc(20), utc(31) + timedelta(days=9)]
    runs = pl.DataFrame(
        {
            "player_id": ["p1", "p1", "p2"],
            "service_name": "game",
            "device": "deck",
            "version": ["1.9", "v1.10", "2.0-rc.1"],
            "valid_from": starts,
            "valid_to": [starts[1], None, None],
        },
        schema_overrides={
            "valid_from": pl.Datetime("us", "UTC"),
            "valid_to": pl.Datetime("us", "UTC"),
        },
    )
    return user_version_intervals(runs)


def test_intervals_of_an_earlier_release_get_their_keys_once(tmp_path: Path) -> None:
    lake, contract = Lake(str(tmp_path)), TABLES[TABLE]
    rows = intervals()
    write_deltalake(
        lake.path(TABLE),
        rows.drop("version_sort_key"),
        partition_by=list(contract.partition_by),
    )

    assert add_sort_keys(lake) == 3
    found = lake.scan(TABLE).collect().sort(contract.keys)
    assert found.equals(rows.select(found.columns).sort(contract.keys))
    assert found["version_sort_key"].to_list() == [
        version_sort_key(version) for version in found["version"]
    ]
    version = lake.version(TABLE)
    assert add_sort_keys(lake) == 0
    assert lake.version(TABLE) == version


def test_a_new_lake_has_nothing_to_add(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert add_sort_keys(lake) == 0

    lake.append(TABLE, intervals())
    assert add_sort_keys(lake) == 0
