"""SQL over the lake: DuckDB in memory, with a view for each Delta table that the query names.

Belongs here: which files a view reads, and what a query may do. Does not: how results are shown.

A view lists the Parquet files of the table's current snapshot, so DuckDB itself leaves out the
files, row groups and columns that a query does not ask for. Tables that the query does not name
are not opened at all.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Literal
from urllib.parse import unquote

import duckdb
import obstore
import polars as pl
from deltalake import DeltaTable
from obstore.exceptions import BaseError
from obstore.fsspec import FsspecStore
from obstore.store import from_url

from kpi_platform.storage.lake.complete_lake import CompleteLake
from kpi_platform.storage.lake.delta.delta_tables import plain_root, without_patterns
from kpi_platform.storage.lake.lake import Lake, LakeError
from kpi_platform.storage.landing.landing import RETRIES, first_line

# How the values of partition columns, which stand in paths as text, are read.
_TYPES = {"date": "DATE", "integer": "INTEGER", "long": "BIGINT"}
SCHEMAS = ("published", "lake")
_MISSING = re.compile(r'Table with name "?(.+?)"? does not exist')
_EXPLAIN = re.compile(r"^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
# A PIVOT is several statements to DuckDB; so is a COPY of one, which would write.
_PIVOT = re.compile(r"\s*(pivot|unpivot|with|select|from)\b", re.IGNORECASE)
# The KPI table that is a view over a lake table and is not published again.
_PLAYERS = (
    "select player_id, current_version, current_device, current_service, first_seen_at,"
    " last_seen_at, version_count from lake.user_version_history"
)
DERIVED = {"dim_player": ("user_version_history", _PLAYERS)}


class QueryError(ValueError):
    """The query cannot be answered; the message is one line."""


@dataclass(frozen=True)
class Bounds:
    """What one query may take: `memory` as DuckDB writes it (2GB, 500MiB), and `seconds`."""

    memory: str = "2GB"
    seconds: float = 300


DEFAULT_BOUNDS = Bounds()


def lake_tables(lake: Lake) -> dict[str, list[str]]:
    """The names of the tables there are, by schema (`published`, `lake`), each list sorted."""
    names = {"published": _folders(lake, "published"), "lake": _folders(lake, "")}
    has = set(names["lake"])
    derived = [name for name, (needs, _) in DERIVED.items() if needs in has]
    names["published"] = sorted({*names["published"], *derived})
    return names


def _folders(lake: Lake, below: str) -> list[str]:
    """Folders that hold a Delta table; what else lies there is no table."""
    if "://" not in lake.uri:
        root = Path(lake.uri, below)
        return sorted(log.parent.name for log in root.glob("*/_delta_log")) if root.is_dir() else []
    try:
        store = from_url(lake.uri, retry_config=RETRIES)
        prefixes = obstore.list_with_delimiter(store, below or None)["common_prefixes"]
        names = [prefix.rsplit("/", 1)[-1] for prefix in prefixes]
    except (BaseError, OSError, ValueError) as error:
        raise LakeError(f"KPI_LAKE_URI: {lake.uri}: {first_line(error)}") from None
    return sorted(name for name in names if name != "published" and not name.startswith("_"))


@contextmanager
def run_query(
    lake: Lake, sql: str, bounds: Bounds = DEFAULT_BOUNDS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Answer one SELECT (or EXPLAIN, DESCRIBE, SUMMARIZE, PIVOT): yields the open result.

    Tables are named with or without their schema; `published` goes before `lake`. Times are UTC.
    Reads only the lake, of a CompleteLake only what is complete, and writes nothing. Raises
    QueryError for anything that DuckDB refuses and for what goes beyond the bounds, LakeError if
    the lake cannot be read.
    """
    con = _connect(lake, bounds)
    clock = Timer(bounds.seconds, con.interrupt)
    clock.daemon = True
    clock.start()
    try:
        _refuse_writes(con, sql)
        yield _answer(con, lake, sql)
    except duckdb.InterruptException:
        raise QueryError(
            f"stopped after {bounds.seconds:g} seconds: ask for fewer days or rows, or raise"
            " KPI_QUERY_SECONDS"
        ) from None
    except duckdb.OutOfMemoryException:
        raise QueryError(
            f"needs more than {bounds.memory} of memory: ask for fewer columns, days or rows, or"
            " raise KPI_QUERY_MEMORY"
        ) from None
    except duckdb.Error as error:
        raise QueryError(_in_one_line(error)) from None
    finally:
        clock.cancel()
        con.close()


def _connect(lake: Lake, bounds: Bounds) -> duckdb.DuckDBPyConnection:
    """A database in memory that can read below the lake's root and nowhere else."""
    con = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": bounds.memory,
        }
    )
    if "://" in lake.uri:
        # DuckDB's own S3 reader is an extension that would have to be downloaded.
        protocol: Literal["s3", "s3a"] = "s3a" if lake.uri.startswith("s3a:") else "s3"
        con.register_filesystem(FsspecStore(protocol, retry_config=RETRIES))
    con.execute("set TimeZone = 'UTC'")
    con.execute("set python_enable_replacements = false")
    con.execute("set temp_directory = ''")
    root = _root(lake)
    # Asked about a file named without patterns, DuckDB judges the name as it was said and as found.
    readable = ", ".join(
        _text(f"{each}/") for each in dict.fromkeys((root, without_patterns(root)))
    )
    con.execute(f"set allowed_directories = [{readable}]")
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")
    for schema in SCHEMAS:
        con.execute(f"create schema {schema}")
    return con


def _root(lake: Lake) -> str:
    return plain_root(lake.uri)


def _refuse_writes(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    inner = _EXPLAIN.sub("", sql, count=1)
    kinds = [statement.type for statement in con.extract_statements(inner)]
    is_pivot = kinds == [duckdb.StatementType.MULTI] and _PIVOT.match(inner)
    if kinds != [duckdb.StatementType.SELECT] and not is_pivot:
        raise QueryError("kpi query takes one SELECT and only reads")


def _answer(con: duckdb.DuckDBPyConnection, lake: Lake, sql: str) -> duckdb.DuckDBPyConnection:
    """Run the query, giving DuckDB a view whenever it misses a table."""
    by_name = False
    made: set[str] = set()
    while True:
        try:
            return con.execute(sql)
        except duckdb.CatalogException as error:
            missing = _MISSING.search(str(error))
            name = missing[1].rsplit(".", 1)[-1].lower() if missing else ""
            if not name or name in made:
                raise
            _add_views(con, lake, name, by_name=by_name)
            made.add(name)
        except duckdb.Error as error:
            if by_name or "union_by_name" not in str(error):
                raise
            # Files of an earlier release lack a column: read the columns of every file first.
            by_name = True
            for name in made:
                _add_views(con, lake, name, by_name=True)


def _add_views(con: duckdb.DuckDBPyConnection, lake: Lake, name: str, *, by_name: bool) -> None:
    tables = lake_tables(lake)
    schemas = [schema for schema in SCHEMAS if name in tables[schema]]
    if not schemas:
        there = ", ".join(sorted({table for found in tables.values() for table in found}))
        none = f"none yet in KPI_LAKE_URI: {lake.uri}"
        raise QueryError(f"there is no table {name!r}; there are: {there or none}")
    for schema in schemas:
        view = f"{schema}.{_quoted(name)}"
        con.execute(f"create or replace view {view} as {_select(con, lake, schema, name, by_name)}")
    con.execute(f"create or replace view main.{_quoted(name)} as from {schemas[0]}.{_quoted(name)}")


def _select(
    con: duckdb.DuckDBPyConnection, lake: Lake, schema: str, name: str, by_name: bool
) -> str:
    if schema == "published" and name in DERIVED:
        needs, query = DERIVED[name]
        _add_views(con, lake, needs, by_name=by_name)
        return query
    table = f"published/{name}" if schema == "published" else name
    snapshot = lake.open(table)
    if snapshot is None:
        raise QueryError(f"there is no table {name!r}")
    files = _newest_first(f"{_root(lake)}/{table}", snapshot)
    if files:
        rows = _scan(snapshot, files, by_name=by_name)
        condition = lake.condition(table) if isinstance(lake, CompleteLake) else ""
        return f"{rows} where {condition}" if condition else rows
    empty = f"{schema}_{name}_without_files"
    con.register(empty, pl.scan_delta(snapshot).collect().to_arrow())
    return f"from {_quoted(empty)}"


def _scan(snapshot: DeltaTable, files: list[str], *, by_name: bool) -> str:
    """SQL that reads a Delta snapshot: its columns in order, its Parquet files.

    The values of partition columns stand in the files' paths only; a filter on them leaves whole
    files unopened. `by_name` reads files of different columns, opening each first.
    """
    types = {field.name: getattr(field.type, "type", "") for field in snapshot.schema().fields}
    partitions = snapshot.metadata().partition_columns
    hive = ", ".join(f"{_text(n)}: {_TYPES.get(types[n], 'VARCHAR')}" for n in partitions)
    types_of_parts = f", hive_types = {{{hive}}}" if partitions else ""
    options = f", hive_partitioning = {bool(partitions)}{types_of_parts}"
    options += ", union_by_name = true" if by_name else ""
    paths = ", ".join(_text(path) for path in files)
    columns = ", ".join(_quoted(name) for name in types)
    return f"select {columns} from read_parquet([{paths}]{options})"


def _newest_first(root: str, snapshot: DeltaTable) -> list[str]:
    """The snapshot's files; the newest is first, as DuckDB takes the columns of the first.

    The log writes paths percent-encoded. deltalake's own `file_uris` encodes the root as well.
    """
    actions = pl.DataFrame(snapshot.get_add_actions(flatten=True))
    newest = actions.sort("modification_time", "path", descending=True)["path"]
    plain = without_patterns(root)
    return [f"{plain}/{unquote(path)}" for path in newest]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _in_one_line(error: duckdb.Error) -> str:
    """DuckDB's message without its picture of the query; what it proposes instead is kept."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("LINE ", "^"))]
    return " ".join(said[:3]) or type(error).__name__
