"""The dbt models without dbt's runs: compiled by dbt's own machinery, run in one connection.

Belongs here: building all models, incrementally or from scratch, in a second instead of ten. Does
not: what is loaded, and what should come out.

What runs is dbt's text: the models and the macros of the project, rendered by dbt with the real
connection behind them, the incremental strategy included. Left out are dbt's books around it.
"""

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from dbt.adapters.factory import get_adapter, register_adapter, reset_adapters
from dbt.config.runtime import RuntimeConfig
from dbt.context.providers import generate_runtime_macro_context, generate_runtime_model_context
from dbt.mp_context import get_mp_context
from dbt_common.clients.jinja import get_environment
from dbt_common.context import set_invocation_context
from dbt_common.events.event_manager import TestEventManager
from dbt_common.events.event_manager_client import ctx_set_event_manager, get_event_manager
from jinja2 import Template

from dbt import flags
from kpi_platform.kpis.loading import slices
from kpi_platform.kpis.loading.event_rows import EventRows
from kpi_platform.kpis.loading.load import LakeTable, load
from kpi_platform.kpis.loading.window import window_frames
from kpi_platform.schemas.sources_file.sources import NO_SERVICES
from kpi_platform.storage.kpi_database import events_file
from kpi_platform.storage.kpi_database.embedded import (
    clear_published,
    mark_built,
    pending,
    prepare,
    transaction,
)
from kpi_platform_tests.kpis.builds import (
    NO_SOURCES,
    PROJECT,
    WAREHOUSE,
    Lake,
    parsed_project,
)
from kpi_platform_tests.reference import PLAYER_ID_ATTRIBUTES

# What they hold is of the build that goes on, and empty when nothing is affected.
_NOT_COMPARED = ("affected_", "attributed_events")
# The database of what is made anew by each run, and is gone after it.
_OF_ONE_RUN = "events_window"


class Engine:
    """dbt's adapter, and what dbt makes of a model whatever the warehouse holds: made once."""

    def __init__(self, adapter: Any, config: RuntimeConfig) -> None:
        self.adapter = adapter
        self._config = config
        self._contexts: dict[tuple[str, bool], dict[str, Any]] = {}
        self._columns: dict[str, str] = {}

    def context(self, node: Any, *, full_refresh: bool) -> dict[str, Any]:
        """The names that a model's text may use."""
        key = (node.unique_id, full_refresh)
        if key not in self._contexts:
            _set_flags(full_refresh)
            self._contexts[key] = generate_runtime_model_context(
                node, self._config, parsed_project()
            )
        return self._contexts[key]

    def columns(self, node: Any, table: Any) -> str:
        """The columns of a model's table, which every build makes alike."""
        if node.name not in self._columns:
            columns = self.adapter.get_columns_in_relation(table)
            self._columns[node.name] = ", ".join(column.quoted for column in columns)
        return self._columns[node.name]


class FastBuild:
    """An emptied warehouse; `changed` models have another text than the project's.

    `tables` were loaded last, and `event_rows` are what is taken of their events.
    """

    def __init__(
        self,
        engine: "Engine",
        changed: Mapping[str, tuple[str, str]],
        sources: pl.DataFrame,
        services: pl.DataFrame,
        only: str | None,
    ) -> None:
        self._models = _models(only)
        self._engine = engine
        self._sources = sources
        self._services = services
        self._adapter = adapter = engine.adapter
        self._changed = changed
        self._is_new = True
        self.tables: Sequence[LakeTable] = []
        self.event_rows = EventRows.of(sources, PLAYER_ID_ATTRIBUTES)
        self._con: duckdb.DuckDBPyConnection = (
            adapter.connections.get_thread_connection().handle.cursor()._cursor
        )
        for schema in ("lake", "staging", "marts", "fresh_staging", "fresh_marts"):
            self._con.execute(f"drop schema if exists {schema} cascade")
        prepare(self._con)
        events_file.lay_down(self._con, WAREHOUSE)
        for schema in ("staging", "marts", "fresh_staging", "fresh_marts"):
            self._con.execute(f"create schema {schema}")
        for schema in ("marts", "fresh_marts"):
            self._con.execute(f"create schema if not exists {_OF_ONE_RUN}.{schema}")
        for seed in (PROJECT / "seeds").glob("*.csv"):
            self._con.execute(f"create table staging.{seed.stem} as from read_csv('{seed}')")
        # What dbt believes to be there is of another build.
        adapter.cache.clear()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """To the warehouse, for what reads or publishes it."""
        return self._con

    def load(self, lake: Lake) -> None:
        """Load what changed."""
        self.tables = lake.tables()
        load(
            self._con,
            self.tables,
            self._sources,
            PLAYER_ID_ATTRIBUTES,
            services=self._services,
        )

    def step(self, lake: Lake, most: int = slices.MOST_EVENTS) -> None:
        """Load, build (everything in slices of so many events), forget what is published."""
        self.load(lake)
        self.run(most=most)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """The rows of a query, sorted."""
        return sorted(self._con.execute(query).fetchall(), key=repr)

    def run(self, *, is_finished: bool = True, most: int = slices.MOST_EVENTS) -> None:
        """Build what is pending, the first time everything; forget what is published. A build that
        is not finished leaves the books as they were, as if its last model had failed. Everything
        is built in slices of at most so many events."""
        if not pending(self._con):
            return
        fresh = self._is_new
        self._build(slices.begin(self._con, most) if fresh else None)
        if not is_finished:
            return
        self._is_new = False
        mark_built(self._con, "project", full_refresh=fresh)
        while slices.take(self._con, most):
            self._build(None)
            mark_built(self._con, "project")
        clear_published(self._con)

    def _build(self, days: Sequence[date] | None) -> None:
        """Build everything, of events those of these days, or what is affected."""
        fresh = days is not None
        self._lay_down(days)
        # What dbt keeps from model to model is of one run.
        parsed_project().flat_graph.pop("remembered_in", None)
        for node in self._models:
            if fresh and node.name in self._changed and node.config.materialized == "view":
                # No update makes a view again.
                self._create(node, self._rendered(node, full_refresh=True))
            elif fresh:
                self._create(node, _full_text(self, node.unique_id))
            elif node.config.materialized == "incremental":
                self._replace_affected(node)
            elif node.config.materialized == "table":
                self._create(node, self._rendered(node))
        if fresh:
            # Every model is there now, and stays.
            self._adapter.cache.clear()

    def _lay_down(self, days: Sequence[date] | None) -> None:
        [events] = [table for table in self.tables if table.name == "cleaned_events"]
        frames = window_frames(self._con, events, self.event_rows, days)
        events_file.lay_down(self._con, WAREHOUSE, frames)

    def text(self, model: str) -> str:
        """What a full refresh runs for a model, rendered now."""
        node = next(node for node in self._models if node.name == model)
        return self._rendered(node, full_refresh=True)

    def rows_of_test(self, name: str) -> list[tuple[object, ...]]:
        """What one of the project's own tests, named by its file, says of the tables."""
        nodes = parsed_project().nodes.values()
        node = next(node for node in nodes if node.name == name and node.resource_type == "test")
        return self.rows(self._rendered(node))

    def differences(self) -> dict[str, int]:
        """Per table the rows that a full refresh, made beside it, has otherwise; only where any."""
        found: dict[str, int] = {}
        if not self._is_new:
            self._lay_down(slices.all_days(self._con))
        for node in self._models if not self._is_new else ():
            text = _full_text(self, node.unique_id)
            for schema in ("staging", "marts"):
                for place in ("warehouse", _OF_ONE_RUN):
                    text = text.replace(f'"{place}"."{schema}"', f'"{place}"."fresh_{schema}"')
            # Seeds are no models.
            for seed in (PROJECT / "seeds").glob("*.csv"):
                text = text.replace(f'"fresh_staging"."{seed.stem}"', f'"staging"."{seed.stem}"')
            kind = "view" if node.config.materialized == "view" else "table"
            name, place = f"{node.schema}.{node.name}", node.database
            self._con.execute(f"create or replace {kind} {place}.fresh_{name} as {text}")
            if not node.name.startswith(_NOT_COMPARED):
                found[node.name] = self._different_rows(name, f"fresh_{name}")
        return {name: rows for name, rows in found.items() if rows}

    def _different_rows(self, one: str, other: str) -> int:
        [(rows,)] = self._con.execute(
            f"select (select count(*) from (from {one} except all from {other}))"
            f" + (select count(*) from (from {other} except all from {one}))"
        ).fetchall()
        return int(rows)

    def _create(self, node: Any, text: str) -> None:
        kind = "view" if node.config.materialized == "view" else "table"
        self._con.execute(
            f"create or replace {kind} {node.database}.{node.schema}.{node.name} as {text}"
        )

    def _replace_affected(self, node: Any) -> None:
        query = f"(\n{self._rendered(node)}\n)"
        context = self._engine.context(node, full_refresh=False)
        target = context["this"]
        replace = context["replace_affected"](target, self._engine.columns(node, target), query)
        self._adapter.commit_if_has_connection()
        # Else every build after one that failed would fail on its open transaction.
        with transaction(self._con):
            self._con.execute(replace)

    def _rendered(self, node: Any, *, full_refresh: bool = False) -> str:
        text = node.raw_code
        if node.name in self._changed:
            right, wrong = self._changed[node.name]
            assert right in text, f"{node.name} no longer says: {right}"
            text = text.replace(right, wrong)
        _set_flags(full_refresh)
        context = self._engine.context(node, full_refresh=full_refresh)
        try:
            return _template(text, context).render(context)
        finally:
            # What dbt asked the warehouse meanwhile began a transaction, also where it then failed.
            self._adapter.commit_if_has_connection()


class _Silence(TestEventManager):
    """dbt's thousands of events of a build, made for logs that nobody keeps here."""

    def fire_event(self, *_: Any, **__: Any) -> None:
        return


def _set_flags(full_refresh: bool) -> None:
    flags.GLOBAL_FLAGS = _flags(full_refresh)


@cache
def _flags(full_refresh: bool) -> Any:
    flags.set_from_args(arguments_of(Path(WAREHOUSE).parent, full_refresh=full_refresh), None)
    return flags.GLOBAL_FLAGS


def _template(text: str, context: dict[str, Any]) -> Template:
    environment = get_environment()
    names = environment.make_globals(context)
    return Template.from_code(environment, _code(text), names)


@cache
def _code(text: str) -> Any:
    return get_environment().compile(text)


_FULL_TEXTS: dict[str, str] = {}


def _full_text(build: FastBuild, name: str) -> str:
    """What a full refresh runs for a model: always the same."""
    if name not in _FULL_TEXTS:
        node = parsed_project().nodes[name]
        _FULL_TEXTS[name] = FastBuild._rendered(build, node, full_refresh=True)
    return _FULL_TEXTS[name]


@contextmanager
def fast_builds(variables: Mapping[str, int] | None = None) -> Iterator[Any]:
    """A function that makes a `FastBuild`, one at a time: `changed` as {model: (text, other)}, of
    these `sources` and `services`, as `load` takes them, and `only` this model with what it reads.
    `variables` of the project have other values."""
    parsed_project().build_flat_graph()
    set_invocation_context(os.environ)
    _set_flags(full_refresh=False)
    arguments = arguments_of(Path(WAREHOUSE).parent, full_refresh=False)
    arguments.vars = dict(variables or {})
    _FULL_TEXTS.clear()
    config = RuntimeConfig.from_args(arguments)
    reset_adapters()
    register_adapter(config, get_mp_context())
    adapter: Any = get_adapter(config)
    adapter.set_macro_resolver(parsed_project())
    adapter.set_macro_context_generator(generate_runtime_macro_context)

    engine = Engine(adapter, config)

    def build(
        changed: Mapping[str, tuple[str, str]] | None = None,
        sources: pl.DataFrame = NO_SOURCES,
        services: pl.DataFrame = NO_SERVICES,
        only: str | None = None,
    ) -> FastBuild:
        return FastBuild(engine, changed or {}, sources, services, only)

    manager = get_event_manager()
    ctx_set_event_manager(_Silence())
    try:
        with adapter.connection_named("laws"):
            yield build
    finally:
        ctx_set_event_manager(manager)
        adapter.cleanup_connections()
        reset_adapters()
        _FULL_TEXTS.clear()


@cache
def _models(only: str | None) -> list[Any]:
    """The models, each after those it reads: all, or one with what it reads."""
    nodes = {
        name: node for name, node in parsed_project().nodes.items() if name.startswith("model.")
    }
    found: dict[str, Any] = {}

    def add(name: str) -> None:
        if name in found or name not in nodes:
            return
        for parent in nodes[name].depends_on.nodes:
            add(parent)
        found[name] = nodes[name]

    for name, node in nodes.items():
        if only is None or node.name == only:
            add(name)
    while missing := [
        name
        for name, node in nodes.items()
        if name not in found and any(node.name in each.raw_code for each in found.values())
    ]:
        # What a model says by its name it reads as it was before.
        for name in missing:
            add(name)
    return list(found.values())


def arguments_of(folder: Path, *, full_refresh: bool) -> Namespace:
    """What `dbt run` is told, with what it writes in `folder`."""
    return Namespace(
        project_dir=str(PROJECT),
        profiles_dir=str(PROJECT),
        target=None,
        profile=None,
        vars={},
        threads=1,
        full_refresh=full_refresh,
        which="run",
        target_path=str(folder / "target"),
        log_path=str(folder / "logs"),
    )
