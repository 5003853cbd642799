"""The command is quick to start: what it may import, its shell completion, and its mistakes."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.cli.cli import MISTAKES
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.cli.test_cli import kpi

HEAVY = ("polars", "dagster", "dbt", "duckdb", "dataframely", "deltalake", "boto3")
_LOADED = """
import sys
sys.argv[0] = "kpi"
from kpi_platform.cli.cli import main
try:
    main()
except SystemExit:
    pass
print("loaded", *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def _loaded(*arguments: str, **settings: str) -> set[str]:
    """The packages that a command has loaded when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments", [("--help",), ("query", "--help"), ("version-at", "--help"), ("nonsense",), ()]
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert _loaded(*arguments, KPI_HOME=str(tmp_path)).isdisjoint(HEAVY)


def test_a_lookup_loads_no_contracts(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    schema = TABLES["user_version_intervals"].polars_schema
    lake.append("user_version_intervals", pl.DataFrame(schema=schema))
    loaded = _loaded("version-at", "p", "2026-01-01", KPI_HOME=str(tmp_path))
    assert "polars" in loaded
    unused = {"dagster", "dbt", "duckdb", "dataframely", "sqlalchemy", "boto3", "pyarrow", "numpy"}
    assert loaded.isdisjoint(unused)


def test_every_mistake_of_the_user_has_its_class() -> None:
    for module, name in MISTAKES:
        found = getattr(importlib.import_module(module), name)
        assert issubclass(found, Exception) and found.__module__.startswith(module), name


def test_the_lookup_knows_the_columns_of_its_table() -> None:
    from kpi_platform import versions

    contract = TABLES[versions.TABLE]
    assert tuple(versions._LAID_OUT) == contract.partition_by
    assert (
        pl.Schema({name: contract.polars_schema[name] for name in versions._SCHEMA})
        == versions._SCHEMA
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("kpi ver", {"version-at", "verify"}),
        ("kpi query --for", {"--format"}),
        ("kpi sources disc", {"discover"}),
    ],
)
def test_the_shell_completes_words(words: str, offered: set[str]) -> None:
    done = kpi(
        _KPI_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert set(done.stdout.split()) == offered, done.stderr


def test_the_completion_of_a_shell_can_be_printed() -> None:
    assert "complete_bash" in kpi("--show-completion", "bash").stdout
