"""The recipes, followed on a copy of the dbt project: what a page says to add is all that is added.

Belongs here: the files that a recipe names, and what must then know of it. Does not: what the rows
of a new column should be.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kpi_platform.kpis.dbt.definition_files import definitions_csv, page, requirements_csv
from kpi_platform.published.pages.dashboard_kpis import describe_kpis, kpi_lists
from kpi_platform.schemas.kpi_definitions import Definition, read_definitions, shown_in
from kpi_platform_tests.kpis.builds import PROJECT

DOCS = PROJECT.parent / "docs"
# What both recipes touch, each its two files.
KPI_FILES = ("models/marts/kpi_daily.sql", "models/marts/kpi_daily.yml")
EVENT_FILES = ("models/staging/stg_cleaned_events.sql", "models/staging/stg_cleaned_events.yml")
LAST_COLUMN = "      - name: is_complete\n"


class Followed(NamedTuple):
    """The copy's manifest and the compiled text of two of its models."""

    manifest: dict[str, Any]
    kpi_values: str
    events: str

    @property
    def definitions(self) -> list[Definition]:
        """The definitions of the copy."""
        return read_definitions(self.manifest)


def fenced(name: str, language: str) -> str:
    """The first text of a language in a page, as it is to be added, its list's indent removed."""
    found = re.search(rf"^( *)```{language}\n(.*?)^ *```", (DOCS / name).read_text(), re.S | re.M)
    assert found, (name, language)
    indent, text = found.groups()
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def insert(file: Path, text: str, before: str) -> None:
    """Add a text before the first place where another stands."""
    old = file.read_text()
    assert before in old, (file, before)
    file.write_text(old.replace(before, text + before, 1))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """Both recipes followed on a copy, compiled by dbt."""
    folder = tmp_path_factory.mktemp("recipes")
    copy = folder / "dbt"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    insert(copy / KPI_FILES[0], fenced("add-a-kpi.md", "sql"), "    is_complete,\n    is_wau")
    insert(copy / KPI_FILES[1], fenced("add-a-kpi.md", "yaml"), LAST_COLUMN)
    insert(copy / EVENT_FILES[0], fenced("add-an-event.md", "sql"), "    purchase_id,\n")
    columns = "      - name: event_id\n"
    insert(copy / EVENT_FILES[1], fenced("add-an-event.md", "yaml"), columns)
    compiled = compile_models(copy, folder, "kpi_values", "stg_cleaned_events")
    manifest = json.loads((folder / "target" / "manifest.json").read_text())
    return Followed(manifest, *compiled)


def compile_models(project: Path, folder: Path, *models: str) -> list[str]:
    """What dbt makes of models, in the order asked for, parsed from nothing."""
    command = [str(Path(sys.executable).with_name("dbt")), "compile", "--quiet", "--no-use-colors"]
    command += ["--project-dir", str(project), "--profiles-dir", str(project)]
    command += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    done = subprocess.run(
        [*command, "--select", *models],
        env=os.environ | {"KPI_WAREHOUSE": "duckdb", "KPI_WAREHOUSE_PATH": str(folder / "db")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    texts = {file.stem: file.read_text() for file in (folder / "target").rglob("compiled/**/*.sql")}
    return [texts[model] for model in models]


def test_a_kpi_of_two_files_is_in_kpi_values(followed: Followed) -> None:
    (row,) = re.findall(
        r"select\s+'weekly_stickiness'::varchar as kpi.*?from \w+", followed.kpi_values, re.S
    )
    assert "date as period" in row and row.endswith("from days")
    assert "weekly_stickiness::double precision as value" in row
    assert "'1'::varchar as definition_version" in row and "is_mau_complete as is_complete" in row


def test_a_kpi_of_two_files_is_in_seeds_and_page(followed: Followed) -> None:
    line = "weekly_stickiness,1,share,Weekly stickiness,"
    assert line in definitions_csv(followed.definitions)
    assert "weekly_stickiness,player\n" in requirements_csv(followed.definitions)
    words = page(followed.definitions)
    assert "### Weekly stickiness" in words and "approved since 2026-11-30" in words


def test_a_kpi_of_two_files_is_on_the_dashboard_and_in_the_report(followed: Followed) -> None:
    shown = describe_kpis(followed.definitions, ("kpi_daily",))["weekly_stickiness"]
    assert (shown["unit"], shown["better"], shown["weight"]) == ("share", "more", "mau")
    cards = kpi_lists(followed.definitions, ("kpi_daily",))["kpi_daily"]["cards"]
    assert cards.index("weekly_stickiness") == cards.index("stickiness") + 1
    report = [each.kpi for each in shown_in(followed.definitions, "report", "kpi_daily")]
    assert report.index("weekly_stickiness") == report.index("mau") + 1


def test_an_attribute_of_two_files_is_a_described_column(followed: Followed) -> None:
    assert "as invite_channel" in followed.events
    (model,) = [
        node for node in followed.manifest["nodes"].values() if node["name"] == "stg_cleaned_events"
    ]
    assert model["columns"]["invite_channel"]["description"].startswith("Channel of")
