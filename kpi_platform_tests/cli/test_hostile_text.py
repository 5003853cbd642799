"""Hostile text in every field that a command prints: none of it reaches the terminal as it is."""

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.cli.commands.cli_sources import _Found, _print
from kpi_platform.cli.query_output import OutputFormat, Row, write_rows
from kpi_platform.cli.terminal import print_table, say, say_json, say_lines
from kpi_platform.onboarding.proposals import Proposal
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.verification.compare import Difference, TableComparison
from kpi_platform.verification.report import as_lines
from kpi_platform.verification.verify import Verification
from kpi_platform_tests.cli.test_cli import kpi
from kpi_platform_tests.schemas.texts.test_shown_text import HOSTILE

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = "".join(HOSTILE)


def assert_harmless(printed: str) -> None:
    """No character that steers a terminal, the ends of our own lines apart."""
    steers = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not [c for c in printed if unicodedata.category(c) in steers and c != "\n"], printed
    assert "studios: []" not in [line.strip() for line in printed.splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A lake in which every text of an interval is hostile."""
    schema = TABLES["user_version_intervals"].polars_schema
    known = {
        **{"player_id": EVERY.replace("\x00", ""), "p_state": "open", "p_month": AT.date()},
        **{"valid_from": AT, "valid_to": None},
    }
    row = {n: known.get(n, EVERY if of == pl.String else None) for n, of in schema.items()}
    lake = Lake(str(tmp_path / "lake"))
    lake.append("user_version_intervals", pl.DataFrame([row], schema=schema))
    return str(tmp_path)


@pytest.mark.parametrize("output", [(), ("--json",)])
@pytest.mark.parametrize("columns", ["40", "400"])
def test_version_at_shows_hostile_text(home: str, output: tuple[str, ...], columns: str) -> None:
    player = EVERY.replace("\x00", "")
    done = kpi("version-at", player, "2026-01-02", *output, KPI_HOME=home, COLUMNS=columns)
    assert done.returncode == 0, done.stderr
    assert_harmless(done.stdout)
    if output:
        assert json.loads(done.stdout)[0]["version"] == EVERY
    none = kpi("version-at", player, "2020-01-02", *output, KPI_HOME=home)
    assert none.returncode == 3
    assert_harmless(none.stderr)


def test_a_mistake_repeats_what_was_typed_harmlessly(home: str) -> None:
    typed = EVERY.replace("\x00", "")
    for arguments in (("version-at", "p", typed), (typed,), ("query", f'from "{typed}"')):
        done = kpi(*arguments, KPI_HOME=home)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert_harmless(done.stderr)


@pytest.mark.parametrize("output", ["table", "json"])
def test_query_shows_hostile_text(home: str, output: str) -> None:
    sql = "select *, [{'a': device}] as nested, device as \"c\x1b[2J\" from user_version_intervals"
    done = kpi("query", sql, "--format", output, KPI_HOME=home)
    assert done.returncode == 0, done.stderr
    assert_harmless(done.stdout)


def test_csv_holds_the_data_and_a_spreadsheets_runs_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    formulas = ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "|x"]
    rows: list[Row] = [(text, -5, 1.5, EVERY) for text in [*formulas, "plain"]]
    write_rows(["=a", "n", "f", "h"], [rows], OutputFormat.CSV, 1)
    plain = [*csv.reader(io.StringIO(capsys.readouterr().out, newline=""))]
    assert [row[0] for row in plain[1:]] == [*formulas, "plain"]
    assert plain[1][3] == EVERY
    write_rows(["=a", "n", "f", "h"], [rows], OutputFormat.CSV, 1, for_spreadsheet=True)
    printed = capsys.readouterr().out
    assert_harmless(printed.replace("\t", ""))
    sheet = [*csv.reader(io.StringIO(printed, newline=""))]
    assert all(row[0].startswith("'") for row in [sheet[0], *sheet[1:-1]])
    assert sheet[-1][0] == "plain" and {row[1] for row in sheet[1:]} == {"-5"}


def test_verify_shows_hostile_text(capsys: pytest.CaptureFixture[str]) -> None:
    difference = Difference("changed", {EVERY: EVERY}, {EVERY: ([EVERY], {EVERY: EVERY})})
    table = TableComparison(EVERY, 1, 1, [difference])
    for line in as_lines(Verification(1, [], [table])):
        say(line)
    assert_harmless(capsys.readouterr().out)


def test_sources_discover_shows_hostile_text(capsys: pytest.CaptureFixture[str]) -> None:
    proposal = Proposal(table=EVERY, mapping={"event": EVERY}, confidence=0.5, reasons=(EVERY,))
    unmapped = Proposal(table=EVERY, mapping={}, confidence=0.0, reasons=(EVERY,))
    _print(_Found(EVERY, [EVERY], {EVERY: 1}, None, {EVERY: [proposal, unmapped]}, Path(EVERY)))
    _print(_Found(EVERY, error=EVERY))
    assert_harmless(capsys.readouterr().out)


def test_every_printer_shows_hostile_text(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        say(text)
        say(text, err=True)
        say_lines(text)
        say_json({text: [text]})
        print_table([text], [[text], [None], [AT], [[text]]], text)
    printed = capsys.readouterr()
    assert_harmless(printed.out.replace("\nstudios: []", ""))
    assert_harmless(printed.err)
    # Markup of the library that draws tables is text.
    assert "[bold red]" in printed.out
