"""Comparing tables: every row that differs is found, counted and named, and no other."""

from collections import Counter

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.verification.compare import TableComparison, compare

KEYS = ["a"]
SCHEMA = {
    "a": pl.String,
    "b": pl.Int64,
    "c": pl.List(pl.Struct({"d": pl.String, "e": pl.Int64})),
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["x", "y", "z", None]),
        st.sampled_from([0, 1, None]),
        st.sampled_from([(), (("p", 1),), (("p", None),), (("p", 1), ("q", 1))]),
    ),
    max_size=8,
)
Rows = list[tuple[object, ...]]


def table(rows: Rows) -> pl.LazyFrame:
    nested = [(a, b, [dict(zip("de", item, strict=True)) for item in c]) for a, b, c in rows]
    return pl.LazyFrame(nested, schema=SCHEMA, orient="row")


def compared(live: Rows, rebuilt: Rows, limit: int = 100) -> TableComparison:
    found = TableComparison("t")
    compare(found, table(live), table(rebuilt), KEYS, limit)
    return found


@given(ROWS, ROWS)
@settings(max_examples=60, deadline=None)
def test_as_many_rows_differ_as_one_side_has_alone(live: Rows, rebuilt: Rows) -> None:
    ours, theirs = Counter(live) - Counter(rebuilt), Counter(rebuilt) - Counter(live)
    found = compared(live, rebuilt)
    kinds = Counter(item.kind for item in found.differences)
    assert kinds["changed"] + kinds["unexpected"] == ours.total()
    assert kinds["changed"] + kinds["missing"] == theirs.total()
    assert found.differing == kinds.total()
    assert found.rows == len(live)


def test_a_changed_row_is_named_with_both_values() -> None:
    (difference,) = compared([("x", 1, ())], [("x", 2, ())]).differences
    assert (difference.kind, difference.key) == ("changed", {"a": "x"})
    assert difference.columns == {"b": (1, 2)}


def test_rows_that_came_or_went_are_told_apart_and_a_copy_counts() -> None:
    found = compared([("x", 1, ()), ("x", 1, ())], [("x", 1, ()), ("y", 1, ())])
    assert {(item.kind, item.key["a"]) for item in found.differences} == {
        ("unexpected", "x"),
        ("missing", "y"),
    }


def test_no_more_are_kept_than_asked_for_but_all_are_counted() -> None:
    found = compared([(str(number), 1, ()) for number in range(200)], [], limit=3)
    assert (len(found.differences), found.differing) == (3, 200)
