"""What changed in a studio's schema since it was last seen, and what that breaks.

Belongs here: comparing two catalogs, and mappings with the present one. Does not: reading them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeVar

import polars as pl

from kpi_platform.arrivals.drift.mapped_columns import Use, tables_of, uses_of
from kpi_platform.schemas.kpi_inputs import kpis_of_mapping
from kpi_platform.schemas.sources_file.column_types import change_between
from kpi_platform.schemas.sources_file.source_tables import EventMapping
from kpi_platform.schemas.sources_file.sources import Source

Kind = Literal[
    "table added",
    "table removed",
    "table renamed",
    "table unreadable",
    "table hides rows",
    "column added",
    "column removed",
    "column renamed",
    "column retyped",
    "column widened",
    "column narrowed",
    "column misfits",
]
T = TypeVar("T")
_ALIKE = 0.6
_SAME_COLUMNS = 0.8


@dataclass(frozen=True)
class Change:
    """One change of a schema. A blocking one stops hours until somebody looks."""

    kind: Kind
    schema: str
    table: str
    column: str = ""
    was: str = ""
    now: str = ""
    uses: tuple[str, ...] = ()
    kpis: tuple[str, ...] = ()
    is_blocking: bool = False
    reason: str = ""

    @property
    def stops_studio(self) -> bool:
        """Whether it stops all hours of the studio; what may not be read stops its sources' only:
        nothing there has become doubtful."""
        return self.is_blocking and self.kind not in ("table unreadable", "table hides rows")


def find_changes(
    schema: str, seen: pl.DataFrame | None, now: pl.DataFrame, sources: Sequence[Source]
) -> list[Change]:
    """Every change, blocking ones first; `seen` and `now` are catalogs, None if never seen.

    A schema seen for the first time has changed nothing; what its mappings lack is said all the
    same.
    """
    uses = uses_of(sources, schema)
    broken = list(_broken(schema, now, sources, uses))
    if seen is None:
        return broken
    changes = [
        *_table_changes(schema, seen, now, sources),
        *_column_changes(schema, seen, now, uses),
    ]
    said = {(change.table, change.column) for change in changes if change.is_blocking}
    tables_gone = {change.table for change in changes if change.is_blocking and not change.column}
    changes += [
        change
        for change in broken
        if (change.table, change.column) not in said and change.table not in tables_gone
    ]
    return sorted(changes, key=lambda c: (not c.is_blocking, c.table, c.column, c.kind))


def find_hidden(
    schema: str, hidden: Mapping[str, str], sources: Sequence[Source]
) -> Iterator[Change]:
    """Mapped tables of which row-level security shows us some of the rows, or none: what is read
    then looks like an hour without events."""
    for source in sources:
        for table, mapping in tables_of(source, schema):
            if table in hidden:
                is_blocking = hidden[table] == "none"
                kpis = _kpis(mapping)
                yield Change(
                    "table hides rows",
                    schema,
                    table,
                    now=hidden[table],
                    kpis=kpis,
                    is_blocking=is_blocking,
                )


def _broken(
    schema: str, now: pl.DataFrame, sources: Sequence[Source], uses: Sequence[Use]
) -> Iterator[Change]:
    """What the mappings need and the present catalog does not have."""
    tables = set(now["table"].unique())
    used = now.filter(pl.col("table").is_in(sorted({use.table for use in uses})))
    readable = set(used.filter("is_readable").select("table", "column").iter_rows())
    types = {(t, c): name for t, c, name in used.select("table", "column", "type").iter_rows()}
    for source in sources:
        for table, mapping in tables_of(source, schema):
            if table not in tables:
                kpis = _kpis(mapping)
                yield Change("table removed", schema, table, kpis=kpis, is_blocking=True)
    for use in uses:
        key = (use.table, use.column)
        if use.table not in tables:
            continue
        if key not in types:
            yield _of_use("column removed", schema, [use])
        elif key not in readable:
            yield _of_use("table unreadable", schema, [use], reason="permission is missing")
        elif reason := use.misfit(types[key]):
            yield _of_use("column misfits", schema, [use], now=types[key], reason=reason)


def _table_changes(
    schema: str, seen: pl.DataFrame, now: pl.DataFrame, sources: Sequence[Source]
) -> Iterator[Change]:
    before, after = _columns_by_table(seen), _columns_by_table(now)
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    mapped = {t: m for source in sources for t, m in tables_of(source, schema)}
    renamed = dict(_table_pairs({t: before[t] for t in gone}, {t: after[t] for t in new}))
    for table in gone:
        mapping = mapped.get(table)
        yield Change(
            "table renamed" if table in renamed else "table removed",
            schema,
            table,
            now=renamed.get(table, ""),
            kpis=_kpis(mapping),
            is_blocking=mapping is not None,
        )
    for table in new:
        if table not in renamed.values():
            yield Change("table added", schema, table, now=f"{len(after[table])} columns")


def _columns_by_table(catalog: pl.DataFrame) -> dict[str, frozenset[str]]:
    grouped = catalog.group_by("table").agg("column")
    return {table: frozenset(columns) for table, columns in grouped.iter_rows()}


def _table_pairs(
    gone: dict[str, frozenset[str]], new: dict[str, frozenset[str]]
) -> Iterator[tuple[str, str]]:
    """Tables that went and came with nearly the same columns, the likest first, each once."""
    scored = sorted(
        (
            (_overlap(old, columns), _likeness(name, other), name, other)
            for name, old in gone.items()
            for other, columns in new.items()
            if _overlap(old, columns) >= _SAME_COLUMNS
        ),
        reverse=True,
    )
    yield from _once((name, other) for _, _, name, other in scored)


def _column_changes(
    schema: str, seen: pl.DataFrame, now: pl.DataFrame, uses: Sequence[Use]
) -> Iterator[Change]:
    by_column: dict[tuple[str, str], list[Use]] = {}
    for use in uses:
        by_column.setdefault((use.table, use.column), []).append(use)
    key = ["table", "column"]
    columns = [*key, "type", "position"]
    both = now.filter(pl.col("table").is_in(seen["table"].unique().implode()))
    still = seen.filter(pl.col("table").is_in(now["table"].unique().implode()))
    gone = still.join(both, on=key, how="anti").select(columns).rows()
    new = both.join(still, on=key, how="anti").select(columns).rows()
    renamed = dict(_column_pairs(gone, new))
    for table, column, was, _ in gone:
        other = renamed.get((table, column), ("", ""))[1]
        kind: Kind = "column renamed" if other else "column removed"
        mapped = by_column.get((table, column), [])
        yield _of_use(kind, schema, mapped, table, column, was=was, now=other)
    for table, column, type_name, _ in new:
        if (table, column) not in renamed.values():
            yield Change("column added", schema, table, column, now=type_name)
    retyped = still.join(both, on=key, suffix="_now").filter(pl.col("type") != pl.col("type_now"))
    for table, column, was, is_now in retyped.select(*key, "type", "type_now").iter_rows():
        change = change_between(was, is_now)
        if change != "same":
            mapped = by_column.get((table, column), [])
            yield _retyped(schema, table, column, was, is_now, change, mapped)


def _retyped(
    schema: str, table: str, column: str, was: str, now: str, change: str, uses: Sequence[Use]
) -> Change:
    reasons = [use.misfit(now) or use.means_something_else(was, now) for use in uses]
    reason = next((reason for reason in reasons if reason), "")
    return Change(
        {"widened": "column widened", "narrowed": "column narrowed"}.get(change, "column retyped"),  # type: ignore[arg-type]
        schema,
        table,
        column,
        was,
        now,
        tuple(dict.fromkeys(use.use for use in uses)),
        tuple(dict.fromkeys(kpi for use in uses for kpi in use.kpis)),
        bool(reason),
        reason,
    )


def _of_use(
    kind: Kind,
    schema: str,
    uses: Sequence[Use],
    table: str = "",
    column: str = "",
    was: str = "",
    now: str = "",
    reason: str = "",
) -> Change:
    return Change(
        kind,
        schema,
        table or uses[0].table,
        column or uses[0].column,
        was,
        now,
        tuple(dict.fromkeys(use.use for use in uses)),
        tuple(dict.fromkeys(kpi for use in uses for kpi in use.kpis)),
        bool(uses),
        reason if uses else "",
    )


Row = tuple[str, str, str, int]


def _column_pairs(
    gone: Sequence[Row], new: Sequence[Row]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Columns of a table that went and came with one type and like names or at one place."""
    scored = sorted(
        (
            (_likeness(name, other) + (0.3 if place == at else 0), (table, name), (table, other))
            for table, name, kind, place in gone
            for in_table, other, other_kind, at in new
            if table == in_table and change_between(kind, other_kind) in ("same", "widened")
        ),
        reverse=True,
    )
    yield from _once((old, other) for score, old, other in scored if score >= _ALIKE)


def _once(pairs: Iterable[tuple[T, T]]) -> Iterator[tuple[T, T]]:
    left: set[T] = set()
    right: set[T] = set()
    for one, other in pairs:
        if one not in left and other not in right:
            left.add(one)
            right.add(other)
            yield one, other


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, _bare(one), _bare(other)).ratio()


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _kpis(mapping: object) -> tuple[str, ...]:
    return tuple(kpis_of_mapping(mapping)) if isinstance(mapping, EventMapping) else ()
