"""The embedded KPI database: connecting, the schema `lake`, replacing loaded rows by difference.

Belongs here: every statement that opens the database or changes its loaded tables. Does not: which
periods a difference affects (kpis/loading/affected.py), and the marts, which are dbt's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from kpi_platform.schemas.texts.hidden_secrets import SafeError

# Loaded tables are copies: after a change of their layout they are dropped and loaded again.
LAYOUT = "7"
EVERY_TABLE = "*"
# A DuckDB file is three headers and its blocks.
_BLOCK_BYTES = 65_536
_HEADERS_BYTES = 3 * 4096
_DAMAGE = re.compile("(?i)not a valid DuckDB|enough bytes|corrupt|checksum")
_NO_ROOM = re.compile("(?i)no space left|permission denied|read-only")
# What the models note of their changes, for the models that are built on them.
NOTES = (
    *("changed_player_days", "changed_first_days"),
    *("changed_last_days", "changed_grain_first_dates", "changed_subject_days"),
)
# Models of earlier releases, with a row of each event.
_LEFT = ("marts.attributed_events", "staging.player_events")
_SCHEMA_FILE = Path(__file__).with_name("embedded.sql")


class WarehouseError(SafeError, RuntimeError):
    """The warehouse cannot be used; the message is one line that names the setting."""


@dataclass(frozen=True)
class LoadedTable:
    """A lake table with a copy in the warehouse: its columns in order, and what identifies a row.

    `key` identifies a row within a partition; `order_by` is how new rows are laid down, so that a
    query about few hours reads few row groups.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    order_by: tuple[str, ...]


def schema_statements() -> list[str]:
    """The statements that make the schema `lake`, as every warehouse understands them."""
    lines = _SCHEMA_FILE.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return [statement.strip() for statement in text.split(";") if statement.strip()]


@contextmanager
def connect(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the database file (made if missing) with the schema `lake` in place.

    The caller holds the warehouse lock: DuckDB lets one process in at a time. Raises
    WarehouseError if another process has the file open, if it is no database or damaged, if its
    disk is full, and for a path with a question mark, behind which DuckDB finds no log of its own.
    """
    if "?" in str(path):
        raise WarehouseError(f"KPI_WAREHOUSE_PATH: {path}: DuckDB takes no path with a '?' in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_replayed = path.with_name(f"{path.name}.wal").exists()
        if not path.exists():
            _make(path)
        con = duckdb.connect(str(path))
    except (duckdb.Error, OSError) as error:
        raise _named(path, error) from None
    try:
        if not is_replayed:
            _check_size(con, path)
        prepare(con)
        yield con
    except (duckdb.IOException, duckdb.FatalException) as error:
        raise _named(path, error) from error
    finally:
        con.close()


def _make(path: Path) -> None:
    """Make the file. A table takes at least a block, and there are many small ones: with DuckDB's
    blocks of 256 KiB a new database has 16 MB, and with these a third of what it holds is saved."""
    with duckdb.connect() as con:
        quoted = str(path).replace("'", "''")
        con.execute(f"attach '{quoted}' as made (block_size {_BLOCK_BYTES})")


def _check_size(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """DuckDB opens a file that was cut short, and says so when it comes to what is missing, which
    may be never. Blocks in use must have room in it. Free ones need none: DuckDB gives those at the
    file's end back without counting anew. After a replay the count is that of the log."""
    needed = count(con, "select used_blocks * block_size from pragma_database_size()")
    if path.stat().st_size < _HEADERS_BYTES + needed:
        raise duckdb.IOException("Could not read enough bytes: the file was cut short")


def _named(path: Path, error: Exception) -> WarehouseError:
    """The error in one line, with what mends it where the file itself is the matter."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    said = f"KPI_WAREHOUSE_PATH: {path}: {line}"
    if _DAMAGE.search(line):
        said += "; it is damaged: move it away, and the next run makes it anew from the lake"
    elif isinstance(error, OSError) or _NO_ROOM.search(line):
        said += "; make room or give the right to write, then run the same again"
    return WarehouseError(said)


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Create the schema `lake`; one of an older layout is dropped, so that all is loaded again."""
    with transaction(con):
        if _layout(con) not in {None, LAYOUT}:
            con.execute("drop schema lake cascade")
            for table in _LEFT:
                con.execute(f"drop table if exists {table}")
        con.execute(_SCHEMA_FILE.read_text(encoding="utf-8"))
        con.execute(
            "insert into lake.layout select ? where not exists (from lake.layout)", [LAYOUT]
        )


def stored_layout(path: Path) -> str | None:
    """The layout of the loaded tables in a database file, which stays as it is; None if there are
    none. The caller holds the warehouse lock. Raises WarehouseError if it cannot be opened."""
    if not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            return _layout(con)
    except (duckdb.Error, OSError) as error:
        raise _named(path, error) from None


def _layout(con: duckdb.DuckDBPyConnection) -> str | None:
    tables = "select 1 from duckdb_tables() where schema_name = 'lake'"
    tables += " and database_name = current_database()"
    if not con.execute(tables).fetchall():
        return None
    rows = con.execute("select version from lake.layout").fetchall()
    return str(rows[0][0]) if rows else ""


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what happens inside, or nothing of it."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def naive_utc(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn zoned timestamps into UTC without a zone, the warehouse's only kind of timestamp."""
    zoned = [
        name
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    ]
    return frame.with_columns(pl.col(zoned).dt.convert_time_zone("UTC").dt.replace_time_zone(None))


def loaded_partitions(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The signature of every partition of `table` that the warehouse holds, by partition key."""
    rows = con.execute(
        "select partition_key, signature from lake.loaded_partitions where table_name = ?", [table]
    )
    return dict(rows.fetchall())


def record_partitions(
    con: duckdb.DuckDBPyConnection, table: str, signatures: Mapping[str, str | None]
) -> dict[str, int]:
    """Record what is about to be loaded; None forgets a partition. Returns each one's number.

    Leaves the temporary table `staged_partitions` (`partition_key`, `partition_id`).
    """
    stored = "select partition_key, partition_id from lake.loaded_partitions where table_name = ?"
    old = {key: int(number) for key, number in con.execute(stored, [table]).fetchall()}
    ids = {
        key: old[key] if key in old else count(con, "select nextval('lake.partition_ids')")
        for key in signatures
    }
    con.execute(
        "delete from lake.loaded_partitions"
        " where table_name = ? and list_contains(?, partition_key)",
        [table, list(signatures)],
    )
    numbered = pl.DataFrame(
        list(ids.items()), {"partition_key": pl.String, "partition_id": pl.Int32}, orient="row"
    )
    con.register("incoming", numbered.to_arrow())
    _temp_table(con, "staged_partitions", "from incoming")
    con.unregister("incoming")
    kept = [(table, key, ids[key], text) for key, text in signatures.items() if text is not None]
    if kept:
        columns = ["table_name", "partition_key", "partition_id", "signature"]
        insert_frame(con, "lake.loaded_partitions", pl.DataFrame(kept, columns, orient="row"))
    return ids


def insert_frame(con: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame) -> None:
    """Append rows to a table by column name."""
    con.register("incoming", rows.to_arrow())
    con.execute(f"insert into {table} by name from incoming")
    con.unregister("incoming")


def count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query returns."""
    # Fetched to the end, here and everywhere: DuckDB lets nothing else begin before.
    [(number,)] = con.execute(query).fetchall()
    return int(number)


def sources_equal(con: duckdb.DuckDBPyConnection, sources: pl.DataFrame) -> bool:
    """Whether `lake.sources` holds exactly these rows."""
    loaded = pl.DataFrame(con.sql("from lake.sources order by source").to_arrow_table())
    return loaded.equals(sources.select(loaded.columns).sort("source"))


def known_sources(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The keys of the sources in `lake.sources`."""
    return {source for (source,) in con.execute("select source from lake.sources").fetchall()}


def services_equal(con: duckdb.DuckDBPyConnection, services: pl.DataFrame) -> bool:
    """Whether `lake.services` holds exactly these rows."""
    loaded = pl.DataFrame(con.sql("from lake.services order by service_name").to_arrow_table())
    return loaded.equals(services.select(loaded.columns).sort("service_name"))


def replace_services(con: duckdb.DuckDBPyConnection, services: pl.DataFrame) -> None:
    """Replace `lake.services` whole."""
    con.execute("delete from lake.services")
    insert_frame(con, "lake.services", services)


def replace_sources(con: duckdb.DuckDBPyConnection, sources: pl.DataFrame) -> None:
    """Replace `lake.sources` whole."""
    con.execute("delete from lake.sources")
    insert_frame(con, "lake.sources", sources)


def stage_difference(
    con: duckdb.DuckDBPyConnection,
    table: LoadedTable,
    frames: Sequence[pl.DataFrame],
    partition_ids: Sequence[int],
) -> int:
    """Compare the frames (with `partition_id`) to what the table holds of these partitions.

    Leaves the temporary tables `added` and `removed` (the table's columns); a row that differs in
    any column is in both. Returns how many rows they hold together.
    """
    columns = ", ".join(("partition_id", *table.columns))
    numbers = ", ".join(map(str, partition_ids))
    old = f"select {columns} from lake.{table.name} where partition_id in ({numbers})"
    # One statement, never an empty table filled afterwards: within a transaction DuckDB 2.0 does
    # not see the rows of a large insert into a table made by `create table as ... limit 0`.
    nothing = _nothing(con, table)
    rows = pl.concat([nothing, *(frame.select(nothing.columns) for frame in frames)])
    con.register("incoming", rows.to_arrow())
    _temp_table(con, "staged", f"select {columns} from incoming")
    con.unregister("incoming")
    if not con.execute(f"{old} limit 1").fetchall():
        # Nearly every load is of new hours: these need no comparison.
        _temp_table(con, "removed", f"{old} limit 0")
        _temp_table(con, "added", "from staged")
    else:
        _temp_table(con, "removed", f"{old} except all from staged")
        _temp_table(con, "added", f"from staged except all {old}")
    return count(con, "select (select count(*) from added) + (select count(*) from removed)")


def _nothing(con: duckdb.DuckDBPyConnection, table: LoadedTable) -> pl.DataFrame:
    """No rows, with the types that the table has."""
    columns = ", ".join(("partition_id", *table.columns))
    return pl.DataFrame(
        con.sql(f"select {columns} from lake.{table.name} limit 0").to_arrow_table()
    )


def _temp_table(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"create or replace temp table {name} as {query}")


def apply_difference(con: duckdb.DuckDBPyConnection, table: LoadedTable) -> None:
    """Bring the table to what `stage_difference` compared it with; other rows stay untouched."""
    matches = " and ".join(f"t.{name} = r.{name}" for name in ("partition_id", *table.key))
    con.execute(f"delete from lake.{table.name} t using removed r where {matches}")
    columns = ", ".join(("partition_id", *table.columns))
    order = ", ".join(table.order_by)
    con.execute(
        f"insert into lake.{table.name} ({columns}) select {columns} from added order by {order}"
    )


def open_load(con: duckdb.DuckDBPyConnection, load_id: int) -> None:
    """Enter a load in the books as pending; again does no harm."""
    con.execute(
        "insert into lake.loads select $id, false"
        " where not exists (from lake.loads where load_id = $id)",
        {"id": load_id},
    )


def pending(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether hours, dates or versions are affected that no finished dbt build has seen, or days
    wait for a build of everything."""
    return bool(
        count(
            con,
            "select (select count(*) from lake.waiting_days) + count(*)"
            " from lake.loads l where not is_built and ("
            " exists (from lake.affected_hours a where a.load_id = l.load_id)"
            " or exists (from lake.affected_dates a where a.load_id = l.load_id)"
            " or exists (from lake.affected_versions a where a.load_id = l.load_id))",
        )
    )


def built_by(con: duckdb.DuckDBPyConnection) -> str | None:
    """The fingerprint of the dbt project by which the marts were built; None if they never were."""
    rows = con.execute("select fingerprint from lake.built_project").fetchall()
    return str(rows[0][0]) if len(rows) == 1 else None


def needs_full_refresh(con: duckdb.DuckDBPyConnection, fingerprint: str) -> bool:
    """Whether the marts were built by another dbt project than the one of this fingerprint."""
    return built_by(con) != fingerprint


def mark_built(
    con: duckdb.DuckDBPyConnection, fingerprint: str, *, full_refresh: bool = False
) -> None:
    """Record that dbt has built all models on everything loaded; publishing is what remains."""
    with transaction(con):
        con.execute("update lake.loads set is_built = true where not is_built")
        for table in NOTES:
            con.execute(f"delete from lake.{table}")
        con.execute("delete from lake.built_project")
        con.execute("insert into lake.built_project values (?)", [fingerprint])
        if full_refresh:
            con.execute("insert into lake.changed_periods values (?, null)", [EVERY_TABLE])


def affected_periods_to_publish(con: duckdb.DuckDBPyConnection) -> dict[str, list[datetime]]:
    """Per mart the starts of the periods (UTC, naive) whose rows changed since the last publishing.

    A mart that is published whole has an empty list. The key `*` means that everything was built
    anew: publish every mart whole. Empty while a load is pending, as marts may then disagree.
    """
    if pending(con):
        return {}
    rows = con.execute("select distinct table_name, period from lake.changed_periods order by all")
    periods: dict[str, list[datetime]] = {}
    for table, period in rows.fetchall():
        starts = periods.setdefault(table, [])
        if period is not None:
            starts.append(period)
    return periods


def changed_ingest_hours(con: duckdb.DuckDBPyConnection, after: int = 0) -> pl.DataFrame:
    """The ingest hours whose events changed since the last publishing, by loads `after` that one.

    Columns `ingest_hour` (UTC) and `date`, a UTC date of event time with an event that changed.
    """
    hours = con.execute(
        "select distinct ingest_hour, date from lake.changed_ingest_hours where load_id > ?",
        [after],
    )
    schema = pl.Schema({"ingest_hour": pl.Datetime("us"), "date": pl.Date()})
    return pl.DataFrame(hours.fetchall(), schema, orient="row").with_columns(
        pl.col("ingest_hour").dt.replace_time_zone("UTC")
    )


def newest_load(con: duckdb.DuckDBPyConnection) -> int:
    """The number of the newest load that is not published; 0 if there is none."""
    return count(con, "select coalesce(max(load_id), 0) from lake.loads")


def first_awaited(con: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """Per kind of source the first hour (UTC, naive) that any figure waits for."""
    return dict(
        con.execute("select kind, min(first_hour) from lake.waits group by kind").fetchall()
    )


def clear_published(con: duckdb.DuckDBPyConnection) -> None:
    """Forget what was affected and changed, once every mart is published."""
    built = "select load_id from lake.loads where is_built"
    with transaction(con):
        for table in (
            *("affected_hours", "affected_dates", "affected_players"),
            *("affected_sessions", "affected_versions", "changed_ingest_hours"),
        ):
            con.execute(f"delete from lake.{table} where load_id in ({built})")
        con.execute("delete from lake.loads where is_built")
        con.execute("delete from lake.changed_periods")
