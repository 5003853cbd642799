"""A platform is called one way, however a client spells it, and what nobody lists is `other`."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpi_platform.schemas.sources_file.platform_names import DEFAULT, OTHER, PlatformNames
from kpi_platform.schemas.sources_file.sources import SourcesError, parse_sources


def shown(names: PlatformNames, *platforms: str | None) -> list[str | None]:
    column = pl.Series("p", platforms, dtype=pl.String)
    return column.to_frame().select(names.shown(pl.col("p")))["p"].to_list()


def test_spellings_and_aliases_are_one_platform_and_the_rest_is_other() -> None:
    told = ["PC", " Xbox Series X", "ps-5", "unknown", "Unknown", "all", "other", "", None]
    assert shown(PlatformNames(), *told) == [
        *("pc", "xbox", "playstation", "unknown", "unknown", OTHER, OTHER, OTHER, None)
    ]


@given(st.lists(st.text() | st.sampled_from(sorted(DEFAULT)), max_size=30))
def test_however_many_names_are_sent_the_platforms_are_few(sent: list[str]) -> None:
    assert set(shown(PlatformNames(), *sent)) <= {*DEFAULT, OTHER, "unknown"}


def test_the_file_counts_before_the_default_and_what_mappings_state_is_known() -> None:
    sources = parse_sources(
        "platforms: {ps5: [prospero], Fridge: []}\n"
        "studios: [{key: s, warehouse: {kind: duckdb, path: x}, games: [{key: g, sources: [{key: a,"
        " schema: m, tables: [{table: t, event: E, key: [id], event_at: {column: at},"
        " platform: {column: os, names: {d: Arcade}}}]}]}]}]",
        "test",
    )
    names = sources.platform_names
    assert shown(names, "PS5", "ps4", "Prospero", "fridge", "arcade", "toaster") == [
        *("ps5", "playstation", "ps5", "Fridge", "Arcade", OTHER)
    ]
    assert names.mark != PlatformNames().mark


@pytest.mark.parametrize("platforms", ["{all: []}", "{a: [b], c: [B]}", "{' ': []}"])
def test_a_list_that_could_not_be_meant_is_refused(platforms: str) -> None:
    with pytest.raises(SourcesError, match="platforms"):
        parse_sources(f"platforms: {platforms}", "test")
