"""README and docs name only what exists: paths, make targets, `kpi` commands, settings.

Belongs here: the check that the words are still true. Does not: whether they are good.
"""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from kpi_platform.arrivals.feeds.csv_records import UNCLOSED, WRONG_HEADER
from kpi_platform.arrivals.feeds.feed_step import NO_SOURCE
from kpi_platform.arrivals.telemetry.parsing.reasons import READ_REASONS
from kpi_platform.cleaned.conform import ROW_REASONS
from kpi_platform.cli.cli import app
from kpi_platform.definitions import defs
from kpi_platform.schemas.texts.row_faults import NOT_MAPPED
from kpi_platform.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / ".env.example",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docker").glob("*.md")),
]
_TOP = r"(?:kpi_platform(?:_tests)?|dbt|docker|docs|bench|\.ci)"
_PATH = re.compile(rf"(?<![\w/.-]){_TOP}/[\w./-]*\w")
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_MADE = {"dbt/target", "dbt/logs", "docker/.env"}


def _pages() -> list[pytest.param]:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]


@pytest.mark.parametrize("page", _pages())
def test_paths_exist(page: Path) -> None:
    named = {path for path in _PATH.findall(page.read_text()) if path not in _MADE}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", _pages())
def test_links_lead_somewhere(page: Path) -> None:
    targets = _LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", _pages())
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    # In prose a command stands in backticks or begins an indented line.
    named = re.findall(r"(?:`|^    )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    assert sorted(set(named) - targets) == []


@pytest.mark.parametrize("page", _pages())
def test_kpi_commands_exist(page: Path) -> None:
    commands = set(get_command(app).commands)
    named = re.findall(r"(?:`|^    )kpi ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert sorted(set(named) - commands) == []


@pytest.mark.parametrize("page", _pages())
def test_settings_exist(page: Path) -> None:
    known = {f"KPI_{name.upper()}" for name in Settings.model_fields}
    # The production compose file has settings of its own for its two servers.
    named = {n for n in re.findall(r"\bKPI_[A-Z_]+\w", page.read_text()) if "POSTGRES" not in n}
    assert sorted(named - known) == []


def test_every_setting_is_in_the_example() -> None:
    text = (ROOT / ".env.example").read_text()
    missing = [name for name in Settings.model_fields if f"KPI_{name.upper()}=" not in text]
    assert missing == []


@pytest.mark.parametrize("page", _pages())
def test_sensors_and_schedules_exist(page: Path) -> None:
    named = set(re.findall(r"`(\w+_(?:sensor|schedule))`", page.read_text()))
    known = {sensor.name for sensor in defs.sensors or ()}
    known |= {schedule.name for schedule in defs.schedules or ()}
    assert sorted(named - known) == []


def test_every_reason_of_quarantine_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    _, section = page.split("## Why a line was not used\n")
    explained = re.findall(r"^\| `(\w+)` \|", section.split("\n## ")[0], re.MULTILINE)
    decoded = ("bad_body", "missing_event_name")
    of_feeds = (NO_SOURCE, UNCLOSED, WRONG_HEADER, NOT_MAPPED)
    assert sorted(explained) == sorted({*READ_REASONS, *decoded, *ROW_REASONS, *of_feeds})
