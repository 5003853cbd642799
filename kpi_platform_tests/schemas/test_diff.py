"""What to write and what to delete, with nulls and nested columns."""

import polars as pl
import pytest

from kpi_platform.schemas.diff import diff_rows

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "player": pl.String,
    "version": pl.String,
    "timeline": pl.List(pl.Struct({"version": pl.String, "until": pl.Int64})),
}


def rows(*values: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(values, schema=SCHEMA, orient="row")


ONE = ("p1", "1.0", [{"version": "1.0", "until": None}])


def test_equal_tables_differ_in_nothing_whatever_the_order() -> None:
    old = rows(ONE, ("p2", None, None), ("p3", "1", []))
    new = rows(("p3", "1", []), ("p2", None, None), ONE)
    upserts, deletes = diff_rows(old, new.select("version", "timeline", "player"), ["player"])
    assert upserts.is_empty() and deletes.is_empty()
    assert deletes.columns == ["player"]


@pytest.mark.parametrize(
    "changed",
    [
        ("p1", None, ONE[2]),
        ("p1", "1.1", ONE[2]),
        ("p1", "1.0", None),
        ("p1", "1.0", []),
        ("p1", "1.0", [None]),
        ("p1", "1.0", [{"version": "1.0", "until": 7}]),
        ("p1", "1.0", [{"version": None, "until": None}]),
        ("p1", "1.0", [ONE[2][0], ONE[2][0]]),
    ],
)
def test_a_change_of_any_column_is_an_upsert_of_the_whole_row(changed: tuple[object, ...]) -> None:
    for old, new in [(rows(ONE), rows(changed)), (rows(changed), rows(ONE))]:
        upserts, deletes = diff_rows(old, new, ["player"])
        assert upserts.equals(new)
        assert deletes.is_empty()


def test_new_keys_are_upserts_and_vanished_keys_are_deletes() -> None:
    old, new = rows(("b", "1", []), ("a", "1", []), ONE), rows(ONE, ("p9", "2", None))
    upserts, deletes = diff_rows(old, new, ["player"])
    assert upserts["player"].to_list() == ["p9"]
    assert deletes["player"].to_list() == ["a", "b"]


def test_keys_of_several_columns_may_hold_nulls() -> None:
    old, new = rows(("p1", None, []), ("p1", "1", [])), rows(("p1", None, []))
    upserts, deletes = diff_rows(old, new, ["player", "version"])
    assert upserts.is_empty()
    assert deletes.rows() == [("p1", "1")]


def test_empty_tables_compare() -> None:
    assert diff_rows(rows(), rows(ONE), ["player"])[0].equals(rows(ONE))
    assert diff_rows(rows(ONE), rows(), ["player"])[1].rows() == [("p1",)]
    assert diff_rows(rows(), rows(), ["player"])[1].is_empty()


def test_frames_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="different columns"):
        diff_rows(rows(ONE), rows(ONE).drop("version"), ["player"])
    with pytest.raises(ValueError, match="more than once"):
        diff_rows(rows(ONE, ONE), rows(ONE), ["player"])
