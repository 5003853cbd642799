"""Types of three databases, and what became of a column."""

import pytest

from kpi_platform.schemas.sources_file.column_types import change_between, column_type


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("bigint", "integer"),
        ("HUGEINT", "integer"),
        ("numeric(12,2)", "decimal"),
        ("DECIMAL(18, 3)", "decimal"),
        ("double precision", "float"),
        ("character varying(40)", "text"),
        ("VARCHAR", "text"),
        ("character(3)", "text"),
        ("ENUM('a', 'b')", "text"),
        ("timestamp without time zone", "timestamp"),
        ("timestamp(3) without time zone", "timestamp"),
        ("TIMESTAMP_NS", "timestamp"),
        ("timestamp(6) with time zone", "timestamptz"),
        ("TIMESTAMP WITH TIME ZONE", "timestamptz"),
        ("date", "date"),
        ("super", "json"),
        ("jsonb", "json"),
        ("JSON", "json"),
        ("integer[]", "nested"),
        ("STRUCT(a INTEGER, b VARCHAR[])", "nested"),
        ("MAP(VARCHAR, INTEGER)", "nested"),
        ("uuid", "uuid"),
        ("interval", "other"),
        ("my_enum", "other"),
        ("", "other"),
    ],
)
def test_the_family_of_a_type(name: str, family: str) -> None:
    assert column_type(name).family == family


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("integer", "int4", "same"),
        ("integer", "bigint", "widened"),
        ("bigint", "integer", "narrowed"),
        ("integer", "numeric(10,0)", "widened"),
        ("integer", "numeric(10,2)", "narrowed"),
        ("integer", "double precision", "widened"),
        ("bigint", "double precision", "narrowed"),
        ("character varying(40)", "character varying(80)", "widened"),
        ("character varying(40)", "text", "widened"),
        ("text", "character varying(40)", "narrowed"),
        ("numeric(10,2)", "numeric(12,2)", "widened"),
        ("numeric(10,2)", "numeric(12,6)", "narrowed"),
        ("numeric(10,2)", "numeric", "widened"),
        ("json", "jsonb", "same"),
        ("timestamp without time zone", "timestamp with time zone", "retyped"),
        ("bigint", "timestamp without time zone", "retyped"),
        ("text", "integer", "retyped"),
        ("integer[]", "text[]", "retyped"),
        ("my_enum", "other_enum", "retyped"),
        ("my_enum", "my_enum", "same"),
    ],
)
def test_what_became_of_a_column(old: str, new: str, change: str) -> None:
    assert change_between(old, new) == change
