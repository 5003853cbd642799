"""What changed in a schema: found, said in plain words, blocking only where a mapping breaks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.drift.drift import Change, find_changes, find_hidden
from kpi_platform.arrivals.drift.drift_checks import warehouses_are_as_mapped
from kpi_platform.arrivals.drift.drift_step import StudioDrift, look_for_drift
from kpi_platform.arrivals.drift.drift_words import sentence
from kpi_platform.schemas.sources_file.sources import Source, parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import CATALOG, StudioWarehouse

TEXT = """
studios:
  - key: north
    warehouse: {kind: duckdb, path: x}
    games:
      - key: rails
        sources:
          - key: rails-dwh
            schema: s
            tables:
              - table: purchases
                event: Purchase
                event_at: {column: bought_at, unit: epoch_ms}
                key: id
                watermark: updated_at
                player_id: player
                attributes: {Amount: {column: cents, scale: 0.01}, Currency: {literal: EUR}}
"""
COLUMNS = {
    "id": "bigint",
    "player": "character varying(40)",
    "bought_at": "bigint",
    "updated_at": "timestamp without time zone",
    "cents": "integer",
    "note": "text",
}


def sources(text: str = TEXT) -> list[Source]:
    return [source for _, _, source in parse_sources(text, "x").walk()]


def catalog(**tables: dict[str, str]) -> pl.DataFrame:
    rows = [
        (table, "table", column, place, kind, True, False, True)
        for table, columns in tables.items()
        for place, (column, kind) in enumerate(columns.items(), 1)
    ]
    return pl.DataFrame(rows, schema=CATALOG, orient="row")


def changes(now: dict[str, str], was: dict[str, str] = COLUMNS) -> list[Change]:
    return find_changes("s", catalog(purchases=was), catalog(purchases=now), sources())


def without(column: str) -> dict[str, str]:
    return {name: kind for name, kind in COLUMNS.items() if name != column}


def renamed(old: str, new: str) -> dict[str, str]:
    return {new if name == old else name: kind for name, kind in COLUMNS.items()}


def test_nothing_changed_nothing_said() -> None:
    assert changes(COLUMNS) == []
    assert find_changes("s", None, catalog(purchases=COLUMNS), sources()) == []


@pytest.mark.parametrize(
    ("now", "said", "is_blocking"),
    [
        ({**COLUMNS, "sku": "text"}, "column sku of table purchases is new (text); kept", False),
        (without("note"), "column note of table purchases is gone.", False),
        (renamed("note", "notes"), "note of table purchases is gone, probably renamed to n", False),
        (
            without("player"),
            "column player of table purchases is gone; it is the player; affects "
            "revenue, ARPDAU, ARPPU, payers, conversion, LTV, active players",
            True,
        ),
        (renamed("player", "player_id"), "probably renamed to player_id; it is the player", True),
        (
            COLUMNS | {"note": "character varying(9)"},
            "column note of table purchases was text, is now the narrower character varying(9).",
            False,
        ),
        (
            COLUMNS | {"player": "character varying(80)"},
            "was character varying(40), is now the wider character varying(80); it is the player;",
            False,
        ),
        (COLUMNS | {"id": "text"}, "was bigint, is text; it is the key; affects revenue", False),
        (
            COLUMNS | {"cents": "numeric(12,2)"},
            "it is attributes.Amount and is multiplied by 0.01, and gained or lost digits after "
            "the point; affects revenue, ARPDAU, ARPPU, payers, conversion, LTV. This studio's",
            True,
        ),
        (
            COLUMNS | {"bought_at": "timestamp with time zone"},
            "it is the event's time and is no number of unit epoch_ms; affects revenue",
            True,
        ),
        (
            COLUMNS | {"updated_at": "timestamp with time zone"},
            "it is the watermark and holds another kind of time",
            True,
        ),
        (COLUMNS | {"cents": "bigint"}, "is now the wider bigint; it is attributes.Amount", False),
    ],
)
def test_a_change_is_said(now: dict[str, str], said: str, is_blocking: bool) -> None:
    (change,) = changes(now)
    assert said in sentence(change)
    assert change.is_blocking is is_blocking


PLAIN = TEXT.replace("{column: cents, scale: 0.01}", "cents")


@pytest.mark.parametrize(
    ("was", "now", "is_blocking"),
    [
        ("numeric(10,2)", "integer", True),
        ("integer", "numeric(10,2)", True),
        ("numeric", "bigint", True),
        ("bigint", "double precision", True),
        ("double precision", "integer", True),
        ("numeric(10,2)", "numeric(12,4)", False),
        ("numeric(10,2)", "double precision", False),
        ("integer", "bigint", False),
        ("integer", "numeric(20,0)", False),
    ],
)
def test_a_unit_that_may_have_changed_stops_also_where_no_scale_is_given(
    was: str, now: str, is_blocking: bool
) -> None:
    before, after = catalog(t=COLUMNS | {"cents": was}), catalog(t=COLUMNS | {"cents": now})
    of = sources(PLAIN.replace("table: purchases", "table: t"))
    (change,) = find_changes("s", before, after, of)
    assert change.is_blocking is is_blocking
    assert ("it may be in another unit now" in sentence(change)) is is_blocking


@pytest.mark.parametrize(
    ("was", "now", "is_blocking"),
    [
        ("integer", "bigint", False),
        ("bigint", "text", False),
        ("bigint", "numeric(20,0)", False),
        ("uuid", "text", False),
        ("text", "character varying(80)", False),
        ("text", "bigint", True),
        ("text", "uuid", True),
        ("bigint", "numeric(10,2)", True),
        ("numeric(10,0)", "numeric(10,2)", True),
        ("bigint", "double precision", True),
    ],
)
def test_a_key_that_may_be_written_in_another_way_stops(
    was: str, now: str, is_blocking: bool
) -> None:
    (change,) = changes(COLUMNS | {"id": now}, COLUMNS | {"id": was})
    assert change.is_blocking is is_blocking
    assert ("every row would come a second time" in sentence(change)) is is_blocking


def test_what_hides_its_rows_stops_its_sources_and_what_hides_some_is_said() -> None:
    hidden = {"purchases": "none", "other": "none"}
    (none,) = find_hidden("s", hidden, sources())
    assert (none.is_blocking, none.stops_studio) == (True, False)
    assert sentence(none).startswith(
        "table purchases shows our role none of its rows: row-level security has no policy for it"
    )
    assert sentence(none).endswith(
        "churn. The hours of the sources that read it stop until it is put right."
    )
    (some,) = find_hidden("s", {"purchases": "some"}, sources())
    assert not some.is_blocking


def test_tables_come_go_and_are_renamed() -> None:
    was = catalog(purchases=COLUMNS, old={"a": "text"}, gone={"q": "text"})
    now = catalog(purchases_v2=COLUMNS, older={"a": "text"}, fresh={"x": "text", "y": "text"})
    said = [sentence(change) for change in find_changes("s", was, now, sources())]
    assert said[0].startswith("table purchases is gone, probably renamed to purchases_v2; affects")
    assert "hours stop" in said[0]
    assert said[1:] == [
        "table fresh is new (2 columns), not mapped yet.",
        "table gone is gone.",
        "table old is gone, probably renamed to older.",
    ]


def test_a_mapping_that_never_fitted_blocks_although_nothing_changed() -> None:
    now = catalog(purchases=COLUMNS | {"bought_at": "date"})
    (change,) = find_changes("s", now, now, sources())
    assert sentence(change).startswith(
        "column bought_at of table purchases is date; it is the event's time and is no number"
    )
    (change,) = find_changes("s", None, catalog(), sources())
    assert sentence(change).startswith("table purchases is gone; affects revenue")


def test_a_table_without_permission_blocks() -> None:
    now = catalog(purchases=COLUMNS).with_columns(is_readable=False)
    found = find_changes("s", None, now, sources())
    assert {change.kind for change in found} == {"table unreadable"}
    assert all(change.is_blocking for change in found)
    # Nothing became doubtful: only the sources that read it stop.
    assert not any(change.stops_studio for change in found)


class OneSchema:
    """A double of a warehouse with one schema; real ones are in the tests of storage."""

    def __init__(self, now: pl.DataFrame) -> None:
        self.now = now

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def discover(self, schema: str) -> pl.DataFrame:
        assert schema == "s"
        return self.now


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    return Lake(str(tmp_path))


def look(lake: Lake, now: dict[str, str], text: str = TEXT, **more: dict[str, str]) -> list[str]:
    warehouse: StudioWarehouse = OneSchema(catalog(purchases=now, **more))  # type: ignore[assignment]
    drift = look_for_drift(lake, "north", sources(text), warehouse)
    assert bool(drift.blocking) == ("hours stop" in drift.why_stopped)
    return drift.sentences


def test_a_harmless_change_is_said_once_and_a_breaking_one_until_the_mapping_changes(
    lake: Lake,
) -> None:
    assert look(lake, COLUMNS) == []
    version = lake.version("warehouse_columns")
    assert look(lake, COLUMNS) == []
    assert lake.version("warehouse_columns") == version
    more = COLUMNS | {"sku": "text"}
    assert len(look(lake, more)) == 1
    assert look(lake, more) == []
    changed = more | {"cents": "numeric(12,2)"}
    first = look(lake, changed)
    assert "gained or lost digits" in first[0]
    assert look(lake, changed) == first
    # Put right by the studio, and broken again.
    assert look(lake, more) == []
    assert look(lake, changed) == first
    # Put right by whoever keeps the mappings.
    assert look(lake, changed, TEXT.replace("{column: cents, scale: 0.01}", "cents")) == []


def test_a_renamed_table_is_named_every_hour(lake: Lake) -> None:
    assert look(lake, COLUMNS) == []
    for _ in range(2):
        warehouse: StudioWarehouse = OneSchema(catalog(kaufe=COLUMNS))  # type: ignore[assignment]
        (said,) = look_for_drift(lake, "north", sources(), warehouse).sentences
        assert "table purchases is gone, probably renamed to kaufe" in said


def test_studios_do_not_see_each_other(lake: Lake) -> None:
    assert look(lake, COLUMNS, fresh={"a": "text"}) == []
    warehouse: StudioWarehouse = OneSchema(catalog(purchases=COLUMNS))  # type: ignore[assignment]
    assert look_for_drift(lake, "it's south", sources(), warehouse).sentences == []
    assert look(lake, COLUMNS, fresh={"a": "text"}) == []


def test_the_check_of_an_hour_names_each_studio() -> None:
    added = Change("column added", "s", "t", "c", now="text")
    gone = Change("table removed", "s", "t", is_blocking=True)
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    good = [StudioDrift("north", (added,), {}), StudioDrift("west", (), {})]
    fine = warehouses_are_as_mapped(hour, good)
    assert fine.passed
    assert fine.figures == {
        "studios": 2,
        "studios_stopped": 0,
        "changes_north": "column c of table t is new (text); kept as an attribute.",
    }
    stopped = warehouses_are_as_mapped(hour, [*good, StudioDrift("south", (gone,), {})])
    assert not stopped.passed
    assert stopped.figures["studios_stopped"] == 1
    assert "hours stop" in str(stopped.figures["changes_south"])
