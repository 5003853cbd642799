"""Damaged tables: a run names what is damaged, verify cannot read it, rebuild mends it."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest

from kpi_platform.engine.hour_fingerprints import forget_consumed
from kpi_platform.engine.hour_steps import HourReport
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.tables import TABLES
from kpi_platform.simulator import simulate
from kpi_platform.storage.lake.lake import LakeError
from kpi_platform.storage.lake.lake_files import files_of
from kpi_platform.verification.mend import REBUILT, Mended, rebuild_table
from kpi_platform.verification.verify import Verification, verify
from kpi_platform_tests.whole_platform import DATA_TABLES, new_platform, run_hours

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(3)]
# Books that this small world leaves empty.
_EMPTY = {"hour_queue", "history_queue", "warehouse_columns", "studio_dimensions"}
STORED = [table for table in REBUILT if table not in _EMPTY]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of a small world with studios and feeds, processed."""
    folder = tmp_path_factory.mktemp("damage")
    simulate(folder / "world", START, len(HOURS), 40, 5)
    run_hours(_platform(folder), HOURS)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of that world and its lake, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def _platform(folder: Path) -> Platform:
    world = folder / "world"
    return new_platform(folder / "home", world / "landing", world / "sources.yaml")


def _verify(folder: Path) -> Verification:
    return verify(_platform(folder), None, None, 50, lambda *_: None)


def _files(folder: Path, table: str) -> list[Path]:
    """The data files of a table, of the newest partition last."""
    snapshot = _platform(folder).lake.open(table)
    assert snapshot is not None
    root = Path(snapshot.table_uri.removeprefix("file://"))
    return [root / unquote(path) for path in files_of(snapshot)["path"].sort()]


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flip(file: Path) -> None:
    """Flip a bit of the footer, which says where everything is."""
    content = bytearray(file.read_bytes())
    content[-6] ^= 0x40
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": _cut, "flipped": _flip, "deleted": Path.unlink}


def _rows(folder: Path) -> dict[str, pl.DataFrame]:
    lake = _platform(folder).lake
    kept = [table for table in (*DATA_TABLES, "session_parts", "sightings", "hour_ledger")]
    found = {}
    for table in kept:
        names = [n for n in TABLES[table].polars_schema.names() if n not in ("captured_at",)]
        rows = lake.scan(table).select(names).collect()
        plain = [name for name, dtype in rows.schema.items() if not isinstance(dtype, pl.List)]
        found[table] = rows.sort(plain)
    return found


def _assert_mended(folder: Path, made: Path, done: Mended) -> None:
    assert not done.failed
    found = _verify(folder)
    assert (found.is_equal, found.unreadable, found.stale) == (True, [], [])
    before = _rows(made)
    for table, rows in _rows(folder).items():
        assert rows.equals(before[table]), table


@pytest.mark.parametrize("table", STORED)
@pytest.mark.parametrize("kind", DAMAGES)
def test_verify_names_what_cannot_be_read_and_rebuild_mends_it(
    folder: Path, made: Path, table: str, kind: str
) -> None:
    file = _files(folder, table)[-1]
    DAMAGES[kind](file)
    found = _verify(folder)
    (damage,) = found.unreadable
    assert damage.table == table and file.as_posix().endswith(unquote(damage.file))
    assert damage.command.startswith(f"kpi rebuild {table}")
    assert found.is_equal
    _assert_mended(folder, made, rebuild_table(_platform(folder), table, damage.first, damage.last))
