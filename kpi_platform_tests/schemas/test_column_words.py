"""Every column of every lake table says what it means; what is said is of columns that exist."""

import polars as pl
import pytest

from kpi_platform.schemas.column_words import _EVERYWHERE, _OF_TABLE, words_of_column, words_of_type
from kpi_platform.schemas.tables import TABLES

BOOKS = {"publications", "kpi_restatements", "kpi_value_books"}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described(table: str) -> None:
    for column in TABLES[table].polars_schema:
        words = words_of_column(table, column) or "-"
        assert words[0].isupper() or words[0] == "`", (table, column)
        assert words.endswith("."), (table, column)


def test_nothing_is_described_that_does_not_exist() -> None:
    columns = {table: set(contract.polars_schema) for table, contract in TABLES.items()}
    extra = {
        table: set(words) - columns[table]
        for table, words in _OF_TABLE.items()
        if table not in BOOKS
    }
    assert not any(extra.values()), extra
    assert set(_EVERYWHERE) <= set().union(*columns.values())


def test_types_are_words() -> None:
    timeline = pl.List(pl.Struct({"version": pl.String(), "sightings": pl.Int64()}))
    assert words_of_type(pl.Datetime("us", "UTC")) == "timestamp (UTC)"
    assert words_of_type(timeline) == "list of (version text, sightings integer)"
