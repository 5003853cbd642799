"""No Redshift runs here: what an update would send is rendered by dbt-redshift on made-up answers.

Belongs here: that the statements of an hour's update of every model, the replacing of rows
included, are Redshift's grammar as sqlglot knows it. Does not: what they do there; and the first
builds, which `test_redshift_sql` compiles. The stand-in for the server says that every table is
there and that two periods are affected.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import agate
import pytest
import sqlglot
from dbt.adapters.contracts.connection import AdapterResponse
from dbt.adapters.factory import get_adapter, register_adapter, reset_adapters
from dbt.cli.main import dbtRunner
from dbt.clients.jinja import get_rendered
from dbt.config.runtime import RuntimeConfig
from dbt.context.providers import generate_runtime_macro_context, generate_runtime_model_context
from dbt.flags import set_from_args
from dbt.mp_context import get_mp_context
from dbt_common.context import set_invocation_context
from sqlglot import exp

from kpi_platform_tests.kpis.builds import PROJECT
from kpi_platform_tests.kpis.dbt.test_redshift_sql import foreign_words
from kpi_platform_tests.kpis.fast_builds import arguments_of

AFFECTED = {
    "hour": [datetime(2026, 1, 1, 5), datetime(2026, 1, 9, 7)],  # noqa: DTZ001 (as warehouses say)
    "now_at": [datetime(2026, 1, 9, 8)],  # noqa: DTZ001
    "date": [date(2026, 1, 1), date(2026, 1, 9)],
    "month": [date(2026, 1, 1), date(2026, 3, 1)],
}


@dataclass(frozen=True)
class Column:
    """A column of a table that is said to be there."""

    name: str

    @property
    def quoted(self) -> str:
        """As dbt-redshift quotes it."""
        return f'"{self.name}"'


def answer(sql: str, **_: Any) -> tuple[AdapterResponse, agate.Table]:
    """What the stand-in says when it is asked for the affected periods, or for now."""
    period = next(name for name in AFFECTED if f"select distinct {name} " in sql)
    kind = agate.DateTime() if period in {"hour", "now_at"} else agate.Date()
    rows = [(start,) for start in AFFECTED[period]]
    return AdapterResponse("OK"), agate.Table(rows, [period], [kind])


@contextmanager
def _stand_in(folder: Path) -> Iterator[tuple[Any, RuntimeConfig, Any]]:
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet"]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    manifest: Any = dbtRunner().invoke(["parse", "--no-partial-parse", *places]).result
    manifest.build_flat_graph()
    set_invocation_context(os.environ)
    arguments = arguments_of(folder, full_refresh=False)
    set_from_args(arguments, None)
    config = RuntimeConfig.from_args(arguments)
    reset_adapters()
    register_adapter(config, get_mp_context())
    adapter: Any = get_adapter(config)
    adapter.set_macro_resolver(manifest)
    adapter.set_macro_context_generator(generate_runtime_macro_context)
    adapter.execute = answer
    adapter.get_relation = lambda database, schema, identifier: adapter.Relation.create(
        database=database, schema=schema, identifier=identifier, type="table"
    )
    try:
        yield adapter, config, manifest
    finally:
        reset_adapters()


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """By name what an update of each incremental model runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_WAREHOUSE", "redshift")
        patch.setenv("KPI_WAREHOUSE_HOST", "127.0.0.1")
        with _stand_in(tmp_path_factory.mktemp("updates")) as (adapter, config, manifest):
            yield {
                node.name: _update(node, adapter, config, manifest)
                for node in manifest.nodes.values()
                if node.resource_type == "model" and node.config.materialized == "incremental"
            }


def _update(node: Any, adapter: Any, config: RuntimeConfig, manifest: Any) -> str:
    context = generate_runtime_model_context(node, config, manifest)
    query = get_rendered(node.raw_code, context, node)
    replaced = context["get_incremental_replace_affected_sql"](
        {
            "target_relation": context["this"],
            "temp_relation": f"{node.name}__dbt_tmp",
            "unique_key": node.config.unique_key,
            "dest_columns": [Column(name) for name in node.columns],
            "incremental_predicates": node.config.get("incremental_predicates"),
        }
    )
    return f"create temporary table {node.name}__dbt_tmp as {query};\n{replaced}"


def test_every_update_renders_and_parses_as_redshift_sql(updates: dict[str, str]) -> None:
    assert len(updates) > 30
    for name, text in updates.items():
        statements = [each for each in sqlglot.parse(text, dialect="redshift") if each is not None]
        kinds = [type(each) for each in statements]
        assert exp.Command not in kinds, name
        assert kinds.count(exp.Create) == 2, name
        assert exp.Delete in kinds, name
        assert exp.Insert in kinds, name


def test_updates_look_at_the_affected_periods_alone(updates: dict[str, str]) -> None:
    assert "event_at >= '2026-01-01 05:00:00'" in updates["grain_hours"]
    assert "2026-01-09" in updates["kpi_daily"]


def test_no_update_uses_what_redshift_lacks(updates: dict[str, str]) -> None:
    assert foreign_words(updates) == set()
