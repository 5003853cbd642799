"""No Redshift runs here: the models are compiled by dbt-redshift, offline, and parsed as its SQL.

Belongs here: that every statement which dbt-redshift would send is Redshift's grammar as sqlglot
knows it, and uses nothing that Redshift is documented not to have. Does not: what it returns.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
import sqlglot
from sqlglot import exp

from kpi_platform_tests.kpis.builds import PROJECT

# What DuckDB and PostgreSQL have and Redshift has not, by its documentation.
FOREIGN = (exp.Unnest, exp.Filter, exp.GenerateSeries, exp.Lateral, exp.ArrayAgg)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every model as dbt-redshift compiles it without a connection, by name."""
    folder = tmp_path_factory.mktemp("redshift")
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    offline = ["--no-introspect", "--no-populate-cache", "--full-refresh"]
    command = [sys.executable, "-m", "dbt.cli.main", "compile", *offline, *places, "--quiet"]
    done = subprocess.run(
        command,
        env={**os.environ, "KPI_WAREHOUSE": "redshift", "KPI_WAREHOUSE_HOST": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout} {done.stderr}"
    models = (folder / "target" / "compiled" / "kpi_platform" / "models").rglob("*.sql")
    return {path.stem: path.read_text() for path in models}


def test_every_model_compiles_with_dbt_redshift_and_parses_as_redshift_sql(
    compiled: dict[str, str],
) -> None:
    names = {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    assert names <= set(compiled)
    for name, text in compiled.items():
        for statement in sqlglot.parse(text, dialect="redshift"):
            assert statement is not None, name
            assert not isinstance(statement, exp.Command), name


def foreign_words(texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """What of `FOREIGN` these statements use: the name of each text, and what it has."""
    return {
        (name, type(node).__name__)
        for name, text in texts.items()
        for statement in sqlglot.parse(text, dialect="redshift")
        if statement is not None
        for node in statement.find_all(*FOREIGN)
    }


def test_no_compiled_model_uses_what_redshift_lacks(compiled: dict[str, str]) -> None:
    assert foreign_words(compiled) == set()
