"""`kpi verify` says when the KPI database was made from another state of the lake."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import lake_tables
from kpi_platform.kpis.loading.load import load
from kpi_platform.schemas.tables import TABLES
from kpi_platform.settings import Settings
from kpi_platform.storage.kpi_database.embedded import connect
from kpi_platform.verification.published import compare_published

ROWS = pl.DataFrame(
    [("s", "g", datetime(2026, 1, 1, tzinfo=UTC), 1.0, 1, 1, 1.0, date(2026, 1, 1))],
    TABLES["stream_stats"].polars_schema,
    orient="row",
)


def left_out(platform: Platform) -> str:
    _, unreadable, reasons = compare_published(platform, 5)
    assert unreadable == []
    return "; ".join(reasons)


def test_a_database_of_another_state_is_named_until_it_has_followed(tmp_path: Path) -> None:
    platform = Platform(Settings(home=tmp_path, lake_uri=str(tmp_path / "lake")))
    platform.lake.append("stream_stats", ROWS)
    sources = platform.sources.frame().join(platform.sources.kinds(), on="source")

    def follow() -> None:
        with connect(platform.settings.warehouse_file) as con:
            attributes = platform.settings.player_id_attributes
            load(con, lake_tables(platform), sources, attributes)
            con.execute("delete from lake.loads")

    follow()
    said = left_out(platform)
    assert "another state" not in said
    assert "the marts with a build from scratch" in said
    assert "published/kpi_daily (it was never published)" in said
    # The same rows in another file: nobody but the names of files tells.
    platform.lake.replace("stream_stats", ROWS, "game = 'g'")
    assert "another state of it, 1 partition differs: the next run" in left_out(platform)
    follow()
    assert "another state" not in left_out(platform)
