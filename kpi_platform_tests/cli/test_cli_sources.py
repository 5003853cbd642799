"""`kpi sources discover` from a studio's connection to a mapping that is used, and to drift."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform_tests.onboarding.six_studios import SNAKE

Run = Callable[..., subprocess.CompletedProcess[str]]
CONNECTION = """
studios:
  - key: north
    warehouse: {kind: duckdb, path: studio.duckdb}
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def kpi(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("kpi")), "sources", "discover", *arguments],
            cwd=tmp_path,
            env={"KPI_HOME": "home", "KPI_SOURCES": "sources.yaml", "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    (tmp_path / "sources.yaml").write_text(CONNECTION)
    execute(tmp_path, SNAKE)
    return kpi


def execute(folder: Path, statements: str) -> None:
    with duckdb.connect(str(folder / "studio.duckdb")) as connection:
        connection.execute(statements)


def test_from_a_connection_to_drift(run: Run, tmp_path: Path) -> None:
    first = run()
    assert first.returncode == 0, first.stderr
    assert "+ prod.purchases: Purchase, confidence 0.8" in first.stdout
    assert "? prod.country_names: nothing tells which event its rows are" in first.stdout
    proposed = (tmp_path / "home" / "proposals" / "north.yaml").read_text()
    assert parse_sources(proposed, "proposed").studios[0].games[0].sources[0].tables
    # Accepted as it is: what is mapped is not proposed again.
    (tmp_path / "sources.yaml").write_text(proposed)
    second = run("--accept")
    assert second.returncode == 0
    assert "nothing changed" in second.stdout
    assert "prod.purchases" not in second.stdout
    execute(tmp_path, "ALTER TABLE prod.purchases RENAME COLUMN player_id TO player_key")
    third = run("--json")
    assert third.returncode == 1
    (found,) = json.loads(third.stdout)
    (change,) = found["changes"]
    assert change["is_blocking"]
    assert "probably renamed to player_key; it is the player; affects" in change["sentence"]


def test_mistakes_end_in_one_line(run: Run, tmp_path: Path) -> None:
    unknown = run("--studio", "south")
    assert unknown.returncode == 2
    assert unknown.stderr == (
        "kpi: Invalid value: 'south' is no studio with a warehouse; there are: north\n"
    )
    (tmp_path / "studio.duckdb").unlink()
    gone = run()
    assert gone.returncode == 1
    assert "cannot be read: studio.duckdb: no such DuckDB file" in gone.stdout
