"""The lake: Delta tables below one root, each replaced by hours or changed by key, atomically.

Belongs here: every read and write of a Delta table. Does not: what the rows mean.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import obstore
import polars as pl
from deltalake import (
    CommitProperties,
    DeltaTable,
    QueryBuilder,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from obstore import get_range, put
from obstore.exceptions import BaseError

from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.delta.delta_tables import PlainTable
from kpi_platform.storage.lake.delta.delta_writes import (
    COMPRESSION,
    about_hours,
    add_missing_columns,
    arrow_schema,
    arrow_stream,
    retried,
    table_properties,
    writer_properties,
)
from kpi_platform.storage.lake.delta.keyed_changes import changes_of, merge
from kpi_platform.storage.lake.delta.lake_files import (
    Span,
    files_of,
    islands,
    may_meet,
    meets,
    scan_files,
)
from kpi_platform.storage.lake.delta.month_files import MonthFiles, has_columns_of
from kpi_platform.storage.lake.lake_root import LakeError, LakeRoot, open_store
from kpi_platform.storage.landing.landing import first_line

if TYPE_CHECKING:
    from obstore import Attributes

__all__ = [
    "Lake",
    "LakeError",
    "Partitions",
    "hours_expression",
    "hours_in",
    "hours_of",
    "hours_predicate",
    "open_store",
]

_EPOCH = date(1970, 1, 1)
_HOURS_OF_A_DAY = 24
# Where tables lie that were moved out of the way; none is looked for there.
_ASIDE = "_damaged"


def hours_predicate(hours: Iterable[datetime]) -> str:
    """SQL that is true for the rows of these ingest hours.

    Neighbouring days with the same hours are one term: a year of whole days is one, not 365.
    """
    terms = []
    for first, last, numbers in _alike_days(hours):
        days = f"= '{first}'" if first == last else f"BETWEEN '{first}' AND '{last}'"
        clock = f"p_ingest_hour_utc IN ({', '.join(map(str, numbers))})"
        terms.append(f"(p_ingest_date_utc {days} AND {clock})")
    return " OR ".join(terms)


def named(column: str, values: Iterable[str]) -> str:
    """SQL that is true for the rows whose `column` is one of these texts."""
    texts = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f"{column} IN ({texts})"


def hours_expression(hours: Iterable[datetime]) -> pl.Expr:
    """Polars expression that is true for the rows of these ingest hours.

    It is flat, however many days there are: Polars judges each file by each term of it.
    """
    wanted = set(hours)
    day, hour = pl.col("p_ingest_date_utc"), pl.col("p_ingest_hour_utc")
    days = sorted({each.date() for each in wanted})
    numbers = pl.Series(sorted(_hour_number(each) for each in wanted), dtype=pl.Int32)
    number = day.to_physical().cast(pl.Int32) * _HOURS_OF_A_DAY + hour.cast(pl.Int32)
    return day.is_in(pl.Series(days, dtype=pl.Date).implode()) & number.is_in(numbers.implode())


def hours_of(rows: pl.DataFrame, hours: Iterable[datetime]) -> dict[datetime, pl.DataFrame]:
    """The rows of each ingest hour; every hour given is a key."""
    parts = rows.partition_by(*INGEST_HOUR, as_dict=True)
    empty = rows.clear()
    return {hour: parts.get((hour.date(), hour.hour), empty) for hour in hours}


def hours_in(rows: pl.DataFrame) -> list[datetime]:
    """The distinct ingest hours of the rows, sorted."""
    hours = rows.select(INGEST_HOUR)
    if (
        hours.height
        and hours.select((pl.all().min() == pl.all().max()).all()).row(0) == (True,) * 2
    ):
        # Very many rows are most often of one hour.
        hours = hours.head(1)
    return sorted(
        datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        for day, hour in hours.unique().iter_rows()
    )


def _hour_number(hour: datetime) -> int:
    """How many hours lie between 1970 and this one."""
    return (hour.date() - _EPOCH).days * _HOURS_OF_A_DAY + hour.hour


def _alike_days(hours: Iterable[datetime]) -> Iterator[tuple[date, date, tuple[int, ...]]]:
    """First and last of neighbouring days of which the same hours are meant, and these hours."""
    days: dict[date, list[int]] = {}
    for hour in sorted(set(hours)):
        days.setdefault(hour.date(), []).append(hour.hour)
    first = last = None
    numbers: tuple[int, ...] = ()
    for day, hours_of_day in days.items():
        if first is None or last is None:
            first, last, numbers = day, day, tuple(hours_of_day)
        elif tuple(hours_of_day) == numbers and day == last + timedelta(days=1):
            last = day
        else:
            yield first, last, numbers
            first, last, numbers = day, day, tuple(hours_of_day)
    if first is not None and last is not None:
        yield first, last, numbers


class Lake(LakeRoot):
    """Delta tables at `<uri>/<table>`; `uri` is a folder or `s3://bucket/prefix`."""

    def open(self, table: str) -> DeltaTable | None:
        """The table's current snapshot, or None if it was never written.

        To be held as long as anything made of it is in use, as every lazy frame does. Raises
        LakeError if it cannot be read, or if an earlier release laid it out in another way.
        """
        snapshot = super().open(table)
        if snapshot is None:
            return None
        laid_out = tuple(snapshot.metadata().partition_columns)
        if table in TABLES and laid_out != (wanted := TABLES[table].partition_by):
            raise LakeError(
                f"KPI_LAKE_URI: {self.path(table)} is partitioned by {', '.join(laid_out)}, as an"
                f" another release did, not by {', '.join(wanted)}: make the lake anew"
            )
        return snapshot

    def version(self, table: str) -> int | None:
        """The table's current version, or None if it was never written."""
        snapshot = self.open(table)
        return None if snapshot is None else snapshot.version()

    def scan(self, table: str) -> pl.LazyFrame:
        """A lazy reader of the current snapshot; a table never written is empty but typed."""
        snapshot = self.open(table)
        if snapshot is None:
            return pl.LazyFrame(schema=TABLES[table].polars_schema)
        rows = pl.scan_delta(snapshot)
        stored = {field.name for field in snapshot.schema().fields}
        # A table of an earlier release lacks the columns that its contract has gained since.
        missing = {n: t for n, t in TABLES[table].polars_schema.items() if n not in stored}
        return rows.with_columns(pl.lit(None, t).alias(n) for n, t in missing.items())

    def scan_hours(self, table: str, hours: Iterable[datetime]) -> pl.LazyFrame:
        """A lazy reader of the rows of these ingest hours, which looks at no other day's files."""
        wanted = set(hours)
        known = set(INGEST_HOUR).intersection(TABLES[table].partition_by)
        if known == set(INGEST_HOUR):
            is_wanted = hours_expression(wanted)
        elif known:
            is_wanted = pl.col("p_ingest_date_utc").is_in({hour.date() for hour in wanted})
        else:
            is_wanted = pl.lit(value=True)
        return self._scan_some(table, lambda _: is_wanted).filter(hours_expression(wanted))

    def scan_span(self, table: str, span: Span, since: pl.Series, until: pl.Series) -> pl.LazyFrame:
        """A lazy reader of the rows whose span meets the time from `since` to `until` (both
        included) of any pair, which looks at no file that can hold none; maybe of some rows
        between the pairs. No instants, no rows."""
        times = islands(since, until)
        if times.is_empty():
            return pl.LazyFrame(schema=TABLES[table].polars_schema)
        rows = self._scan_some(table, lambda files: may_meet(files, span, times))
        return rows.filter(meets(pl.col(span[0]), pl.col(span[1]), times))

    def scan_text(self, table: str, column: str, text: str) -> pl.LazyFrame:
        """A lazy reader of the rows whose `column` is this text, which looks at no file of a
        partitioned table that says it has none."""
        partitions = TABLES[table].partition_by
        if not partitions:
            return self.scan(table).filter(pl.col(column) == text)

        def may_hold(files: pl.DataFrame) -> pl.Expr:
            if column in partitions:
                return pl.col(column) == text
            if not {f"min.{column}", f"max.{column}"} <= set(files.columns):
                return pl.lit(value=True)
            low, high = pl.col(f"min.{column}"), pl.col(f"max.{column}")
            return ((low <= text) & (high >= text)).fill_null(value=True)

        return self._scan_some(table, may_hold).filter(pl.col(column) == text)

    def _scan_some(self, table: str, where: Callable[[pl.DataFrame], pl.Expr]) -> pl.LazyFrame:
        """A lazy reader of the files for which `where` (of `files_of`) is true."""
        snapshot, contract = self.open(table), TABLES[table]
        if snapshot is None:
            return pl.LazyFrame(schema=contract.polars_schema)
        files = self._readable(table, files_of(snapshot))
        return scan_files(self.path(table), contract, files.filter(where(files)))

    def _readable(self, table: str, files: pl.DataFrame) -> pl.DataFrame:
        """Those of a table's files that are read: all of them."""
        return files

    def read_hours(self, table: str, hours: Iterable[datetime]) -> pl.DataFrame:
        """All rows of these ingest hours."""
        return self.scan_hours(table, hours).collect()

    def read_hours_in_parts(
        self,
        table: str,
        hours: Iterable[datetime],
        rows_at_a_time: int,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """All rows of these ingest hours in any order, some at a time, so that memory stays
        bounded; all columns or these."""
        rows = self.scan_hours(table, hours).select(columns or pl.all())
        return rows.collect_batches(chunk_size=rows_at_a_time, maintain_order=False)

    def columns_without_nulls(self, table: str, hours: Iterable[datetime]) -> set[str]:
        """Columns that, as the files of these ingest hours themselves say, hold no null."""
        snapshot = self.open(table)
        if snapshot is None or not set(INGEST_HOUR) <= set(snapshot.metadata().partition_columns):
            return set()
        files = files_of(snapshot)
        counts = files.filter(hours_expression(hours)).select(pl.col("^null_count\\..*$"))
        # A file that does not say leaves its count null.
        free = counts.select(((pl.all() == 0) & pl.all().is_not_null()).all())
        return {
            name.removeprefix("null_count.")
            for name in free.columns
            if counts.height and free[name].item()
        }

    def hours_that_may_hold(self, table: str, column: str, values: pl.Series) -> list[datetime]:
        """The ingest hours with a file in whose range of `column` one of the texts lies, as the
        files themselves say; one that does not say may hold anything."""
        snapshot = self.open(table)
        if snapshot is None or values.is_empty():
            return []
        files = files_of(snapshot)
        unknown = pl.lit(None, pl.String)
        low, high = (
            pl.col(name) if name in files.columns else unknown
            for name in (f"min.{column}", f"max.{column}")
        )
        texts = files.select(*INGEST_HOUR, low=low.cast(pl.String), high=high.cast(pl.String))
        wanted = values.drop_nulls().unique().sort()
        first = wanted.search_sorted(texts["low"].fill_null(""), side="left")
        after = wanted.search_sorted(texts["high"].fill_null(""), side="right")
        has_one = pl.Series(first) < pl.Series(after)
        return hours_in(texts.filter(has_one | texts["low"].is_null() | texts["high"].is_null()))

    def replace_hours(
        self, table: str, rows: pl.DataFrame, hours: Sequence[datetime], where: str = ""
    ) -> None:
        """Replace the rows of these ingest hours (and of `where`, SQL) in one commit."""
        self.replace(table, rows, _and(hours_predicate(hours), where))

    def change_hours(
        self,
        table: str,
        change: Callable[[pl.DataFrame], pl.DataFrame],
        hours: Sequence[datetime],
        which: pl.Expr | None = None,
        where: str = "",
    ) -> None:
        """Replace the rows of these ingest hours (and of `which`, in SQL `where`) by what `change`
        makes of them, in one commit; made anew from the rows of a writer that came between."""
        chosen = pl.lit(value=True) if which is None else which

        def changed() -> list[pl.DataFrame]:
            rows = self.scan_hours(table, hours).filter(chosen).collect()
            return [change(rows).select(TABLES[table].polars_schema.names())]

        self._overwrite(table, changed, _and(hours_predicate(hours), where))

    def stream_hours(
        self,
        table: str,
        frames: Callable[[], Iterator[pl.DataFrame]],
        hours: Sequence[datetime],
        where: str = "",
        *,
        is_alone: bool = False,
    ) -> None:
        """As `replace_hours`, from frames made one by one, so that memory stays bounded.

        `is_alone`: not even rows that are only added to these hours may come between.

        `frames` is called again if another writer came between and the write is repeated.
        """
        about = about_hours(hours) if is_alone else None
        self._overwrite(table, frames, _and(hours_predicate(hours), where), about)

    def replace(self, table: str, rows: pl.DataFrame, predicate: str) -> None:
        """Replace the rows that `predicate` (SQL) names by `rows`, in one commit."""
        frame = rows.select(TABLES[table].polars_schema.names())
        self._overwrite(table, lambda: [frame], predicate)

    def lay_out(self, table: str) -> None:
        """Give a table of an earlier release the columns and properties of its contract; no file
        of it is written again."""
        target, contract = self.open(table), TABLES[table]
        if target is None:
            return
        add_missing_columns(target, contract)
        had = target.metadata().configuration
        wanted = table_properties(contract)
        if any(had.get(name) != value for name, value in wanted.items()):
            target.alter.set_table_properties(wanted)

    def overwrite(self, table: str, frames: Callable[[], Iterator[pl.DataFrame]]) -> None:
        """Replace all rows by those of frames, in one commit, whether or not they can be read."""
        contract = TABLES[table]
        retried(
            lambda: write_deltalake(
                self._create(table),
                arrow_stream(contract.polars_schema, frames()),
                mode="overwrite",
                writer_properties=writer_properties(contract),
            )
        )

    def set_aside(self, table: str) -> str:
        """Move a table of which not even the log can be read out of the way; its new address.

        Its name is free then; nothing of it is deleted.
        """
        place = f"{_ASIDE}/{table}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        with self._naming_the_setting():
            store = open_store(self.uri)
            paths = [item["path"] for part in obstore.list(store, f"{table}/") for item in part]
            # The log goes first: what has no log is no table, whenever this ends.
            for path in sorted(paths, key=lambda path: "/_delta_log/" not in f"/{path}"):
                obstore.rename(store, path, f"{place}/{path.removeprefix(f'{table}/')}")
        return self.path(place)

    def append(self, table: str, rows: pl.DataFrame) -> None:
        """Add rows."""
        schema = TABLES[table].polars_schema
        frame = rows.select(schema.names())
        retried(
            lambda: write_deltalake(
                self._create(table),
                arrow_stream(schema, [frame]),
                mode="append",
                writer_properties=writer_properties(TABLES[table]),
            )
        )

    def add_to_hour(
        self, table: str, hour: datetime, new: Callable[[pl.LazyFrame], pl.DataFrame]
    ) -> bool:
        """Add the rows that `new` makes from those that the hour has now; False, and nothing is
        written, if another writer changed the hour meanwhile."""
        target, contract = self._create(table), TABLES[table]
        files = files_of(target).filter(hours_expression([hour]))
        rows = new(scan_files(self.path(table), contract, files))
        rows = rows.select(contract.polars_schema.names())
        if rows.is_empty():
            return True
        try:
            write_deltalake(
                target,
                arrow_stream(contract.polars_schema, [rows]),
                mode="append",
                writer_properties=writer_properties(contract),
                commit_properties=about_hours([hour]),
            )
        except CommitFailedError:
            return False
        return True

    def delete(self, table: str, predicate: str) -> None:
        """Delete the rows that `predicate` (SQL) names; if there are none, nothing is written."""
        one = f"SELECT 1 FROM rows_of_it WHERE {predicate} LIMIT 1"  # noqa: S608 (our predicates)
        query = QueryBuilder().register("rows_of_it", self._create(table))
        if pl.DataFrame(query.execute(one)).height:
            self._overwrite(table, list, predicate)

    def apply_changes(self, table: str, upserts: pl.DataFrame, deletes: pl.DataFrame) -> int:
        """Insert or update `upserts` and remove the keys in `deletes`, in one commit.

        `deletes` has the table's key and its partition columns, by which rows are found. Both
        may be empty: then nothing is written. Returns the number of rows changed.
        """
        changed = upserts.height + deletes.height
        if changed:
            changes = changes_of(TABLES[table], upserts, deletes)
            contract, root = TABLES[table], self.path(table)
            retried(lambda: merge(root, self._create(table), contract, changes))
        return changed

    def publish(
        self,
        name: str,
        rows: pl.DataFrame,
        predicate: str | None,
        stamps: Mapping[str, int] | None = None,
    ) -> int:
        """Replace the rows of `published/<name>` that `predicate` (SQL) names, or all of them.

        `stamps` are kept with the commit, the newest of each name, for `published_stamp`. Returns
        the table's new version. Other columns than before replace the table whole.
        """
        named = [Transaction(*stamp) for stamp in (stamps or {}).items()]
        path = self.path(f"published/{name}")
        if self._is_local:
            Path(path).mkdir(parents=True, exist_ok=True)

        def write() -> None:
            write_deltalake(
                path,
                arrow_stream(rows.schema, [rows]),
                mode="overwrite",
                predicate=predicate,
                schema_mode=None if predicate else "overwrite",
                writer_properties=WriterProperties(**COMPRESSION),
                commit_properties=CommitProperties(app_transactions=named) if named else None,
            )

        retried(write)
        return DeltaTable(path).version()

    def publish_periods(
        self,
        name: str,
        column: str,
        rows: pl.DataFrame,
        starts: Sequence[datetime] | None,
        stamps: Mapping[str, int] | None = None,
    ) -> int:
        """Replace the rows of the periods that start then (in `column`) in `published/<name>`, or
        all of them; files of other months than theirs stay. As `publish` otherwise.

        A table that is new, or gets other columns, lies in one file until it is written next.
        """
        address = f"published/{name}"
        current = super().open(address)
        if current is None or not has_columns_of(current, rows):
            return self.publish(name, rows, None, stamps)
        with self._naming_the_setting():
            store = open_store(self.path(address))
        of_table = MonthFiles(store, self.path(address), column)

        def write() -> int:
            snapshot = DeltaTable(self.path(address))
            return of_table.replace(snapshot, rows, starts, stamps or {})

        return retried(write)

    def add_published(self, name: str, rows: pl.DataFrame) -> None:
        """Add rows to `published/<name>`."""
        path = self.path(f"published/{name}")
        if self._is_local:
            Path(path).mkdir(parents=True, exist_ok=True)
        retried(
            lambda: write_deltalake(
                path,
                arrow_stream(rows.schema, [rows]),
                mode="append",
                writer_properties=WriterProperties(**COMPRESSION),
            )
        )

    def published(self, name: str) -> pl.LazyFrame | None:
        """A lazy reader of `published/<name>`, or None if it was never published."""
        try:
            return pl.scan_delta(PlainTable(self.path(f"published/{name}")))
        except TableNotFoundError:
            return None

    def published_stamp(self, name: str, stamp: str) -> int | None:
        """What the newest commit of `published/<name>` with such a stamp says, or None."""
        try:
            return DeltaTable(self.path(f"published/{name}")).transaction_version(stamp)
        except TableNotFoundError:
            return None

    def put_file(self, name: str, content: str, content_type: str) -> str:
        """Replace the file `published/<name>` at once; returns its address."""
        address = self.path(f"published/{name}")
        if self._is_local:
            Path(address).parent.mkdir(parents=True, exist_ok=True)
            unfinished = Path(f"{address}.unfinished")
            unfinished.write_text(content, encoding="utf-8")
            unfinished.replace(address)
            return address
        with self._naming_the_setting():
            attributes: Attributes = {"Content-Type": content_type}
            put(open_store(self.uri), f"published/{name}", content.encode(), attributes=attributes)
        return address

    def file_head(self, name: str, length: int) -> str | None:
        """The first `length` bytes of `published/<name>` as text, or None if there is no file."""
        try:
            if self._is_local:
                with Path(self.path(f"published/{name}")).open("rb") as file:
                    return file.read(length).decode(errors="replace")
            with self._naming_the_setting():
                head = get_range(open_store(self.uri), f"published/{name}", start=0, length=length)
        except FileNotFoundError:
            return None
        return bytes(head).decode(errors="replace")

    @contextmanager
    def _naming_the_setting(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError, ValueError) as error:
            raise LakeError(f"KPI_LAKE_URI: {self.uri}: {first_line(error)}") from None

    def partitions(self, table: str) -> "Partitions":
        """The table's partitions as they are now; none if it was never written."""
        return Partitions(table, self.path(table), self.open(table))

    def _create(self, table: str) -> DeltaTable:
        contract = TABLES[table]
        if self._is_local:
            Path(self.path(table)).mkdir(parents=True, exist_ok=True)
        existing = self.open(table)
        if existing is not None:
            add_missing_columns(existing, contract)
            return existing
        return retried(
            lambda: DeltaTable.create(
                self.path(table),
                schema=arrow_schema(contract.polars_schema),
                mode="ignore",
                partition_by=list(contract.partition_by),
                configuration=table_properties(contract),
            )
        )

    def _overwrite(
        self,
        table: str,
        frames: Callable[[], Iterable[pl.DataFrame]],
        predicate: str,
        about: CommitProperties | None = None,
    ) -> None:
        schema = TABLES[table].polars_schema
        retried(
            lambda: write_deltalake(
                self._create(table),
                arrow_stream(schema, frames()),
                mode="overwrite",
                predicate=predicate,
                writer_properties=writer_properties(TABLES[table]),
                commit_properties=about,
            )
        )


class Partitions:
    """The partitions of a table at one moment, each read without looking through the others.

    `signatures`: partition (its values as text) -> a hash of its data files, equal if untouched.
    """

    def __init__(self, table: str, root: str, snapshot: DeltaTable | None) -> None:
        self._contract = TABLES[table]
        self._root = root
        self._files: dict[tuple[str, ...], list[str]] = {}
        if snapshot is not None:
            files = pl.DataFrame(snapshot.get_add_actions(flatten=True))
            keys = [f"partition.{column}" for column in self._contract.partition_by]
            for *values, path in files.select(*keys, "path").iter_rows():
                self._files.setdefault(tuple(map(str, values)), []).append(path)
        self.signatures = {key: _digest(sorted(paths)) for key, paths in self._files.items()}

    def read(self, key: tuple[str, ...]) -> pl.DataFrame:
        """All rows of one partition, with the columns of the table's contract."""
        schema = self._contract.polars_schema
        values = {
            column: _partition_value(schema[column], text)
            for column, text in zip(self._contract.partition_by, key, strict=True)
        }
        rows = pl.scan_parquet(
            [f"{self._root}/{unquote(path)}" for path in self._files[key]],
            schema={name: dtype for name, dtype in schema.items() if name not in values},
            glob=False,
            missing_columns="insert",
            extra_columns="ignore",
        )
        partition_values = [
            pl.lit(value, schema[name]).alias(name) for name, value in values.items()
        ]
        return rows.with_columns(partition_values).select(list(schema)).collect()


def _partition_value(dtype: pl.DataType, text: str) -> date | int | str:
    if dtype == pl.Date:
        return date.fromisoformat(text)
    return int(text) if dtype.is_integer() else text


def _and(predicate: str, where: str) -> str:
    return f"({predicate}) AND ({where})" if where else predicate


def _digest(texts: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()
