"""The same arguments make the same bytes, also in another process, and other seeds other ones."""

import hashlib
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from kpi_platform.simulator import simulate
from kpi_platform_tests.simulator.conftest import START

_PROGRAM = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from kpi_platform.simulator import simulate
simulate(Path(sys.argv[1]), datetime(2026, 1, 1, tzinfo=UTC), 30, 60, 3)
"""


def _digest(folder: Path) -> dict[str, str]:
    paths = sorted(folder.rglob("*"))
    return {
        str(path.relative_to(folder)): hashlib.sha256(_content(path)).hexdigest()
        if path.is_file()
        else "folder"
        for path in paths
    }


def _content(path: Path) -> bytes:
    """The bytes of a file; of a database, which lays them out as it likes, its rows."""
    if path.suffix != ".duckdb":
        return path.read_bytes()
    tables = "select schema_name, table_name from duckdb_tables() order by all"
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.sql(tables).fetchall()
        rows = [con.sql(f"from {_quoted(s)}.{_quoted(t)}").fetchall() for s, t in names]
        return repr((names, rows)).encode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_two_runs_and_another_process_make_the_same_bytes(tmp_path: Path) -> None:
    simulate(tmp_path / "a", START, 30, 60, 3)
    simulate(tmp_path / "b", START, 30, 60, 3)
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "POLARS_MAX_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "c")],
        check=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    first = _digest(tmp_path / "a")
    assert first == _digest(tmp_path / "b")
    assert first == _digest(tmp_path / "c")
    assert len(first) > 100


def test_another_seed_makes_another_world(tmp_path: Path) -> None:
    simulate(tmp_path / "a", START, 3, 30, 1)
    simulate(tmp_path / "b", START, 3, 30, 2)
    assert _digest(tmp_path / "a") != _digest(tmp_path / "b")


def test_batches_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(tmp_path / "a", START, 30, 60, 3)
    monkeypatch.setattr("kpi_platform.simulator.simulation._LINES_PER_BATCH", 1)
    simulate(tmp_path / "b", START, 30, 60, 3)
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")


def test_one_hour_and_one_player_make_a_world(tmp_path: Path) -> None:
    assert simulate(tmp_path / "w", START, 1, 1, 1).lines >= 0
    assert (tmp_path / "w" / "truth" / "hours.parquet").exists()


@pytest.mark.parametrize(
    ("start", "hours", "players"),
    [
        (START.replace(tzinfo=None), 1, 1),
        (START + timedelta(minutes=1), 1, 1),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))), 1, 1),
        (START, 0, 1),
        (START, 1, 0),
    ],
)
def test_bad_arguments_are_refused(
    tmp_path: Path, start: datetime, hours: int, players: int
) -> None:
    with pytest.raises(ValueError, match="must be"):
        simulate(tmp_path, start, hours, players, 1)


def test_two_worlds_do_not_mix(tmp_path: Path) -> None:
    simulate(tmp_path, START, 1, 1, 1)
    with pytest.raises(FileExistsError, match="another folder"):
        simulate(tmp_path, START, 1, 1, 1)
