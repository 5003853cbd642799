"""Compares two versions of a table of any size: by sums of hashes, by rows where those differ.

Belongs here: finding and describing rows that differ. Does not: where the rows come from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

# Rows are compared one by one only within buckets that differ: this many bound the memory of it.
BUCKETS = 64
_SEEDS = (1, 2)
_HASH = ["_hash_1", "_hash_2"]

Kind = Literal["changed", "missing", "unexpected"]


@dataclass(frozen=True)
class Difference:
    """A row that differs: `changed`, `missing` from the lake, or there `unexpected`ly.

    `key` identifies the row; `columns` has, of a changed row, (in the lake, rebuilt) of each
    column that differs.
    """

    kind: Kind
    key: dict[str, Any]
    columns: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass
class TableComparison:
    """What was compared of a table: rows in the lake, how many differ, and the first of them."""

    table: str
    rows: int = 0
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)


def compare(
    found: TableComparison,
    live: pl.LazyFrame,
    rebuilt: pl.LazyFrame,
    keys: Sequence[str],
    limit: int,
) -> None:
    """Add to `found` how `live` differs from `rebuilt`: frames of equal columns, rows in any order.

    A row counts as often as it is there. At most `limit` differences are kept, all are counted.
    """
    sums, others = _sums(live, keys), _sums(rebuilt, keys)
    found.rows += int(sums["_rows"].sum())
    for bucket in _unequal(sums, others):
        part, other = (_bucket(rows, keys, bucket) for rows in (live, rebuilt))
        for difference in _differences(part, other, list(keys)):
            found.differing += 1
            if len(found.differences) < limit:
                found.differences.append(difference)


def _bucket_of(keys: Sequence[str]) -> pl.Expr:
    return pl.struct(keys).hash(0) % BUCKETS


def _hashed(rows: pl.LazyFrame) -> pl.LazyFrame:
    row = pl.struct(pl.all())
    return rows.with_columns(
        row.hash(seed).alias(name) for seed, name in zip(_SEEDS, _HASH, strict=True)
    )


def _sums(rows: pl.LazyFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Per bucket the number of rows and the sums (modulo 2^64) of two hashes of each."""
    return (
        _hashed(rows)
        .group_by(_bucket=_bucket_of(keys))
        .agg(pl.len().alias("_rows"), *(pl.col(name).sum() for name in _HASH))
        .collect(engine="streaming")
    )


def _unequal(sums: pl.DataFrame, others: pl.DataFrame) -> list[int]:
    columns = sums.columns
    alone = [a.join(b, on=columns, how="anti") for a, b in ((sums, others), (others, sums))]
    return sorted(pl.concat(alone)["_bucket"].unique())


def _bucket(rows: pl.LazyFrame, keys: Sequence[str], bucket: int) -> pl.DataFrame:
    """The rows of a bucket; equal rows are told apart by `_copy`."""
    bucket_rows = _hashed(rows.filter(_bucket_of(keys) == bucket)).collect(engine="streaming")
    return bucket_rows.with_columns(_copy=pl.int_range(pl.len()).over(_HASH))


def _differences(
    live: pl.DataFrame, rebuilt: pl.DataFrame, keys: list[str]
) -> Iterator[Difference]:
    same = [*_HASH, "_copy"]
    ours = live.join(rebuilt, on=same, how="anti").drop(same).sort(keys)
    theirs = rebuilt.join(live, on=same, how="anti").drop(same).sort(keys)
    expected: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in theirs.iter_rows(named=True):
        expected.setdefault(tuple(row[key] for key in keys), []).append(row)
    for row in ours.iter_rows(named=True):
        key = {name: row[name] for name in keys}
        if others := expected.get(tuple(key.values())):
            other = others.pop()
            changed = {n: (v, other[n]) for n, v in row.items() if v != other[n]}
            yield Difference("changed", key, changed)
        else:
            yield Difference("unexpected", key)
    for rows in expected.values():
        for row in rows:
            yield Difference("missing", {name: row[name] for name in keys})
