"""The key of versions sorts as a slow comparison, sign by sign, says; and what is no version."""

from itertools import pairwise
from unicodedata import category

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpi_platform.schemas.texts.nobody import INVISIBLE, WORDS_FOR_NOBODY, somebody
from kpi_platform.schemas.version_keys import version_sort_key, version_sort_keys
from kpi_platform_tests.kpis.reference.reference_versions import order_of

NUMBERS = st.sampled_from(["0", "00", "1", "01", "2", "9", "10", "11", "099", "1" * 30])
PIECES = st.sampled_from(
    [*"vV.-+_ ([)]{<~", "rc", "RC", "beta", "é", "中", "٣", "\u200b", "\t", "\xa0", "\ufeff"]
)
# Fillers are letters that nobody sees; the reference knows but those of the pieces.
SIGNS = st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters=INVISIBLE)
VERSIONS = st.lists(st.one_of(NUMBERS, PIECES, SIGNS), max_size=7).map("".join)

# Each comes before the next.
IN_ORDER = [
    *("???", "dev-9", "dev-10", "nightly", "0.9", "1.0-2", "1.0-alpha", "1.0-beta", "1.0-beta+5"),
    *("1.0-rc.9", "1.0rc10", "1.0", "1.0 (12)", "1.0+13", "1.0+a", "1.9", "1.9.4", "1.9.5", "1.10"),
    *("1.22.03", "2.0.0-1", "2", "10"),
]
# All of a line are one version.
EQUAL = [
    ("1", "1.0", "1.00", "1.0.0", "v1.0", "V1", "\ufeff1.0\u200b", " 1.0\t", "1.0."),
    ("1.0-rc.9", "1.0rc9", "v1.0-rc-09", "1.0_rc.9"),
    ("1.0+5", "1.0 5", "1.0 (5)", "1.0 [5]", "1.0\xa0(5)"),
]


@given(st.lists(VERSIONS, min_size=2, max_size=4))
def test_keys_sort_as_a_slow_comparison_does(versions: list[str]) -> None:
    for one, other in pairwise(versions):
        keys = version_sort_key(one), version_sort_key(other)
        places = order_of(one), order_of(other)
        assert (keys[0] < keys[1], keys[0] == keys[1]) == (
            places[0] < places[1],
            places[0] == places[1],
        )


def test_versions_that_everybody_knows_are_in_order() -> None:
    assert sorted(set(IN_ORDER), key=version_sort_key) == IN_ORDER
    assert all(version_sort_key(a) < version_sort_key(b) for a, b in pairwise(IN_ORDER))


@pytest.mark.parametrize("versions", EQUAL)
def test_spellings_of_one_version_have_one_key(versions: tuple[str, ...]) -> None:
    assert len({version_sort_key(version) for version in versions}) == 1


@given(VERSIONS)
def test_a_key_is_made_of_digits_alone_so_that_every_collation_sorts_it_alike(version: str) -> None:
    key = version_sort_key(version)

    assert key
    assert set(key) <= set("0123456789")


def test_at_least_a_version_works_in_sql() -> None:
    names = pl.Series("version", [*IN_ORDER, None])
    versions = names.to_frame().with_columns(version_sort_keys(names))
    con = duckdb.connect()
    con.register("versions", versions.to_arrow())

    found = con.execute(
        "select version from versions where version_sort_key >="
        " (select version_sort_key from versions where version = '1.9.5')"
    ).fetchall()

    assert {version for (version,) in found} == set(IN_ORDER[IN_ORDER.index("1.9.5") :])


def test_no_versions_have_no_keys() -> None:
    nothing = pl.Series("version", [None, None], dtype=pl.String)

    assert version_sort_keys(nothing).to_list() == [None, None]
    assert version_sort_keys(nothing.clear()).to_list() == []


def test_words_for_nobody_and_what_nobody_sees_are_no_version() -> None:
    told = ["1.0", "\u200b 1.0\ufeff", "", "\u2060", *WORDS_FOR_NOBODY, "NULL", " Undefined\u200b"]
    found = pl.DataFrame({"told": told}).select(somebody(pl.col("told"))).to_series()

    assert found.to_list() == ["1.0", "1.0", *[None] * (len(told) - 2)]


def test_every_sign_without_a_picture_is_invisible() -> None:
    # These stand around numbers and are seen.
    seen = {*map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"}
    signs = {sign for sign in map(chr, range(0x110000)) if category(sign) in {"Cc", "Cf", "Zs"}}

    assert sorted(signs - seen - set(INVISIBLE)) == []
