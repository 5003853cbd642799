"""The `kpi` command as a user types it: output, exit codes, and one line for a mistake."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.version_keys import version_sort_key
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.servers import PostgresServer

PLAYER = "<b>Ann'; drop"
START = datetime(2026, 1, 1, tzinfo=UTC)
UPGRADE = datetime(2026, 1, 2, 12, tzinfo=UTC)


def kpi(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run the installed command with nothing of the developer's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    program = Path(sys.executable).parent / "kpi"
    return subprocess.run(
        [program, *arguments],
        env=kept | settings,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A lake with one player on two devices, upgraded once."""
    rows = [
        (
            PLAYER,
            "Client",
            "deck",
            "1.9",
            version_sort_key("1.9"),
            START,
            UPGRADE,
            "closed",
            UPGRADE.date().replace(day=1),
        ),
        (
            PLAYER,
            "Client",
            "deck",
            "1.10",
            version_sort_key("1.10"),
            UPGRADE,
            None,
            "open",
            UPGRADE.date().replace(day=1),
        ),
        (
            PLAYER,
            "Client",
            "phone",
            "1.9",
            version_sort_key("1.9"),
            START,
            None,
            "open",
            START.date().replace(day=1),
        ),
    ]
    schema = TABLES["user_version_intervals"].polars_schema
    lake = Lake(str(tmp_path / "lake"))
    lake.append("user_version_intervals", pl.DataFrame(rows, schema=schema, orient="row"))
    return str(tmp_path)


def test_version_at_prints_what_was_in_effect(home: str) -> None:
    done = kpi("version-at", PLAYER, "2026-01-02T12:00:00Z", "--json", KPI_HOME=home)
    assert done.returncode == 0
    found = [(row["device"], row["version"]) for row in json.loads(done.stdout)]
    assert found == [("deck", "1.10"), ("phone", "1.9")]


def test_a_time_with_an_offset_is_that_instant(home: str) -> None:
    at = "2026-01-02T13:59:59+02:00"
    done = kpi("version-at", PLAYER, at, "--device", "deck", "--json", KPI_HOME=home)
    assert [row["version"] for row in json.loads(done.stdout)] == ["1.9"]


def test_names_from_outside_are_printed_as_they_are(home: str) -> None:
    done = kpi("version-at", PLAYER, "2026-01-03", KPI_HOME=home)
    assert "<b>Ann" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (PLAYER, "2025-12-31T23:59:59Z"),
        ("nobody", "2026-01-03"),
        (PLAYER, "2026-01-03", "--service", "x"),
    ],
)
def test_no_version_in_effect_is_exit_code_3(home: str, arguments: tuple[str, ...]) -> None:
    done = kpi("version-at", *arguments, KPI_HOME=home)
    assert done.returncode == 3
    assert done.stderr.startswith("no version in effect")


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("version-at", "p", "yesterday"), {}, "is no time"),
        (("version-at", "p", "2026-01-01"), {"KPI_START_HOUR": "soon"}, "KPI_START_HOUR"),
        (("version-at", "p", "2026-01-01"), {"KPI_LAKE_URI": "nope://x"}, "KPI_LAKE_URI"),
        (("simulate", "--out", "x", "--start", "2026-01-01-00:30"), {}, "no full hour"),
        (("simulate", "--out", "x", "--hours", "0"), {}, "hours"),
        (("query", "from nope"), {}, "there is no table 'nope'"),
        (("query",), {}, "needs a query"),
    ],
)
def test_a_mistake_ends_in_one_clear_line_and_code_2(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    done = kpi(*arguments, KPI_HOME=str(tmp_path), **settings)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_simulate_writes_a_world_and_says_what_is_in_it(tmp_path: Path) -> None:
    out = tmp_path / "world"
    options = ["--out", str(out), "--hours", "3", "--players", "20", "--seed", "1", "--json"]
    done = kpi("simulate", *options)
    summary = json.loads(done.stdout)
    hours = pl.read_parquet(out / "truth" / "hours.parquet")
    assert summary["lines"] == hours["lines"].sum()
    assert (out / "landing").is_dir() and (out / "sources.yaml").is_file()
    again = kpi("simulate", *options)
    assert again.returncode == 2 and "not empty" in again.stderr


def test_simulated_studios_in_postgres_are_captured_from_there(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    database = postgres_server.create_database("simulated_by_cli")
    out = tmp_path / "world"
    options = ["--out", str(out), "--hours", "2", "--players", "20", "--warehouse", "postgres"]
    unset = kpi("simulate", *options, "--dsn-env", "STUDIOS_DSN")
    assert unset.returncode == 2 and "STUDIOS_DSN" in unset.stderr and not out.exists()
    done = kpi("simulate", *options, "--dsn-env", "STUDIOS_DSN", STUDIOS_DSN=database.dsn)
    assert done.returncode == 0, done.stderr
    assert "STUDIOS_DSN" in (out / "sources.yaml").read_text()
    assert not (out / "warehouses").exists()
    settings = {"KPI_HOME": str(tmp_path / "home"), "KPI_SOURCES": str(out / "sources.yaml")}
    found = kpi("sources", "discover", "--json", STUDIOS_DSN=database.dsn, **settings)
    assert found.returncode == 0, found.stderr
    assert len(json.loads(found.stdout)) == 3
    again = kpi("simulate", *options, "--dsn-env", "STUDIOS_DSN", STUDIOS_DSN=database.dsn)
    assert again.returncode == 2 and database.password not in again.stderr


def test_query_prints_rows_in_each_format(home: str) -> None:
    sql = "select player_id, valid_to from user_version_intervals order by valid_to limit 1"
    shown = kpi("query", sql, KPI_HOME=home)
    assert PLAYER in shown.stdout
    as_csv = kpi("query", sql, "--format", "csv", KPI_HOME=home)
    assert as_csv.stdout == f"player_id,valid_to\n{PLAYER},2026-01-02T12:00:00+00:00\n"
    as_json = kpi("query", sql, "--json", KPI_HOME=home)
    expected = [{"player_id": PLAYER, "valid_to": "2026-01-02T12:00:00+00:00"}]
    assert json.loads(as_json.stdout) == expected
    listed = kpi("query", "--tables", "--format", "csv", KPI_HOME=home)
    assert listed.stdout == "schema,table\nlake,user_version_intervals\n"


def test_dashboard_writes_one_page(home: str, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "kpis.html"
    done = kpi("dashboard", "--no-open", "--out", str(out), "--json", KPI_HOME=home)
    assert json.loads(done.stdout)["out"] == str(out)
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    usual = kpi("dashboard", "--no-open", KPI_HOME=home)
    assert "no hour has been processed yet" in usual.stdout
    assert Path(home, "kpi_dashboard.html").is_file()
    folder = kpi("dashboard", "--no-open", "--out", str(tmp_path), KPI_HOME=home)
    assert folder.returncode == 2 and "--out" in folder.stderr and "Traceback" not in folder.stderr


def test_values_that_a_terminal_or_json_cannot_take_are_spelled_out(tmp_path: Path) -> None:
    sql = "select chr(27) || '[31m' as t, 'NaN'::float as f, '\\x00\\xFF'::blob as b"
    shown = kpi("query", sql, KPI_HOME=str(tmp_path))
    assert "\\x1b[31m" in shown.stdout and "\x1b[31m" not in shown.stdout
    as_json = kpi("query", sql, "--json", KPI_HOME=str(tmp_path))
    assert json.loads(as_json.stdout) == [{"t": "\x1b[31m", "f": None, "b": "00ff"}]


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "maintain", "simulate", "verify", "version-at", "query", "dashboard"),
        *("status", "doctor"),
    ],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = kpi(command, "--help")
    assert done.returncode == 0
    assert f"Example: kpi {command}" in " ".join(done.stdout.split())
