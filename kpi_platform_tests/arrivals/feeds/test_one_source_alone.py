"""Whatever a source's rows or mapping raise stays with that source, row by row where it can."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.exceptions import ComputeError, PanicException

from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.cleaned import mapped_rows
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.conform import RowOrigin, conform
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.sources_file.source_tables import EventMapping, StreamFeed
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.schemas.sources_file.stream_figures import stream_rows
from kpi_platform.schemas.texts.json_text import write_json
from kpi_platform_tests.arrivals.feeds.test_feeds import Feeds
from kpi_platform_tests.arrivals.studios.studio_world import START

SOURCES = parse_sources(
    """
studios:
  - key: aurora
    games:
      - key: comet
        sources:
          - key: shop-comet
            feed: &shop
              kind: console
              folder: shop
              event: {column: what, names: {sale: Purchase}}
              event_at: at
              player_id: who
              attributes: {Amount: price, Currency: cur}
              only: {column: game, equals: comet}
          - key: live-comet
            feed: {kind: stream, folder: live, hour: hour, average_viewers: average}
      - key: drift
        sources:
          - key: shop-drift
            feed: {<<: *shop, only: {column: game, equals: drift}}
          - key: live-drift
            feed: {kind: stream, folder: other, hour: hour, average_viewers: average}
""",
    "sources.yaml",
)
HEAD = "at,game,who,what,price,cur\n"
SALES = HEAD + "".join(
    f"2026-01-01T00:05:00Z,{game},P{number},sale,1,USD\n"
    for game in ("comet", "drift")
    for number in range(3)
)


@pytest.fixture
def feeds(memory_path: Path) -> Feeds:
    return Feeds(memory_path, SOURCES)


def rows_of(*texts: str) -> pl.DataFrame:
    """Captured rows of these JSON texts."""
    return pl.DataFrame(
        {
            "source": "shop",
            "row": texts,
            "row_key": None,
            "file_name": "f",
            "line_number": range(1, len(texts) + 1),
            "p_ingest_date_utc": START.date(),
            "p_ingest_hour_utc": START.hour,
        },
        schema_overrides={"row_key": pl.String, "p_ingest_hour_utc": pl.Int32, "row": pl.String},
    )


def test_a_stream_column_called_place_is_a_column(feeds: Feeds) -> None:
    feeds.put(
        "live", START, "a.csv", b"hour,average,place,hour (column),*,^.*$\n2026-01-01,5,1,x,y,z\n"
    )
    feeds.put("other", START, "a.csv", b"hour,average\n2026-01-01,7\n")
    feeds.run(START)
    figures = [row[2] for row in feeds.stats()]
    assert figures == [5.0, 7.0]


ERRORS = [ComputeError("x"), TypeError("x"), OverflowError("x"), PanicException("x")]


def ledger_of(feeds: Feeds) -> dict[str, dict[str, Any]]:
    """The hour's ledger rows by source."""
    rows = feeds.lake.read_hours("hour_ledger", [START])
    return {row["source"]: row for row in rows.to_dicts()}


@pytest.mark.parametrize("error", ERRORS)
def test_a_stream_source_whose_mapping_raises_fails_alone(
    feeds: Feeds, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    made = StreamStep._made

    def broken(step: StreamStep, rows: pl.DataFrame, owner: Any) -> Any:
        if owner[2].key == "live-comet":
            raise error
        return made(step, rows, owner)

    for folder in ("live", "other"):
        feeds.put(folder, START, "a.csv", b"hour,average\n2026-01-01,7\n")
    monkeypatch.setattr(StreamStep, "_made", broken)
    reports = feeds.run(START)
    assert {r.status for part in reports.values() for r in part} == {"written"}
    ledger = ledger_of(feeds)
    assert ledger["live-comet"]["status"] == "failed"
    assert type(error).__name__ in ledger["live-comet"]["source_error"]
    assert ledger["live-drift"]["status"] == "processed" and ledger["live-drift"]["rows"] == 1


@pytest.mark.parametrize("error", ERRORS[1:])
def test_a_console_mapping_that_raises_fails_alone_and_heals(
    feeds: Feeds, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(rows: pl.DataFrame, mapping: EventMapping, origin: RowOrigin) -> Any:
        if rows["source"][0] == "shop-comet":
            raise error
        return conform(rows, mapping, origin)

    feeds.put("shop", START, "sales.csv", SALES.encode())
    with monkeypatch.context() as patch:
        patch.setattr(mapped_rows, "conform", broken)
        feeds.run(START)
    comet, drift = ledger_of(feeds)["shop-comet"], ledger_of(feeds)["shop-drift"]
    assert comet["status"] == "failed"
    assert feeds.ledger(START)["shop-comet"] == (3, 0, 3, 0)
    assert type(error).__name__ in comet["source_error"]
    assert (drift["status"], drift["rows"]) == ("processed", 3)
    assert feeds.reasons() == {"not_mapped": 3}
    assert all(check.passed for check in check_events(feeds.lake, [START], 1))
    feeds.put("shop", START, "sales.csv", (SALES + "\n" + SALES).encode())
    feeds.run(START)
    assert feeds.ledger(START)["shop-comet"] == (6, 3, 0, 3)
    assert set(feeds.lake.read_hours("hour_ledger", [START])["source_error"]) == {None}


def test_rows_that_raise_go_alone_however_they_are_cut() -> None:
    mapping = EventMapping.model_validate({"event": "Sale", "event_at": "at"})
    good = [write_json({"at": "2026-01-01T00:00:00Z", "n": str(number)}) for number in range(20)]
    texts = [*good[:7], "no json", *good[7:], "nor this", "{"]
    whole = conform(rows_of(*texts), mapping, RowOrigin("comet"))
    assert whole.lines.height == 20
    assert whole.quarantined["line_number"].sort().to_list() == [8, 22, 23]
    assert set(whole.quarantined["reason"]) == {"not_mapped"}
    for cut in (1, 8, 22):
        parts = [
            conform(rows_of(*texts)[start:end], mapping, RowOrigin("comet"))
            for start, end in ((0, cut), (cut, len(texts)))
        ]
        bad = pl.concat(part.quarantined for part in parts)
        assert bad.sort("line_number").equals(whole.quarantined.sort("line_number"))


NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUE = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ODD_NAMES = ("place", "place of the row", "*", "^.*$", "reason", "row", "Name", "hour", "source")


@settings(deadline=None)
@given(st.dictionaries(NAME | st.sampled_from(ODD_NAMES), VALUE, max_size=6), NAME)
@example(dict.fromkeys(ODD_NAMES, "x"), "*")
@example({"^a.*$": "1", "ab": "2"}, "^a.*$")
def test_columns_of_any_name_become_attributes(row: dict[str, str | None], player: str) -> None:
    full = {**row, "at": "2026-01-01T00:00:00Z", player: "P1"}
    full["at"] = "2026-01-01T00:00:00Z"
    mapping = EventMapping.model_validate(
        {"event": "Sale", "event_at": "at", "player_id": player, "json_columns": [player]}
    )
    made = conform(
        rows_of(write_json(full), write_json({"at": full["at"]})), mapping, RowOrigin("c")
    )
    assert made.lines.height == 2 and made.quarantined.is_empty()


@settings(deadline=None)
@given(st.dictionaries(NAME | st.sampled_from(ODD_NAMES), VALUE, max_size=6), NAME, NAME)
def test_streams_of_any_column_names_are_read(
    row: dict[str, str | None], hour: str, average: str
) -> None:
    feed = StreamFeed.model_validate(
        {"kind": "stream", "folder": "f", "hour": hour, "average_viewers": average}
    )
    full = {**row, average: "5", hour: "2026-01-01"}
    good, bad = stream_rows(rows_of(write_json(full)), feed, "s", "g", timedelta(hours=24))
    assert good.height + bad.height == 1
    assert (good["average_viewers"].to_list() == [5.0]) or average == hour


@pytest.mark.parametrize(
    "text", ['{"nick":"caf\\ud83d"}', '{"a":' * 2000, '{"a":1e400,"b":NaN}', "[1]", "x"]
)
def test_a_json_column_of_any_text_costs_at_most_its_row(text: str) -> None:
    mapping = EventMapping.model_validate(
        {"event": "Sale", "event_at": "at", "json_columns": ["props"]}
    )
    row = write_json({"at": "2026-01-01T00:00:00Z", "props": text})
    made = conform(rows_of(row, write_json({"at": "2026-01-01"})), mapping, RowOrigin("c"))
    assert made.lines.height == 2


@pytest.mark.parametrize(
    ("price", "cur", "expected"),
    [
        ("1.2K", "USD", "1200"),
        ("4.99 EUR", "USD", None),
        ("4.99 EUR", "EUR", "4.99"),
        ("12%", "USD", None),
        ("5 min", "USD", None),
        ("(4.99)", "USD", None),
        ("9" * 140_000, "USD", None),
    ],
)
def test_amounts_with_text_around_them(
    feeds: Feeds, price: str, cur: str, expected: str | None
) -> None:
    line = f"2026-01-01T00:05:00Z,comet,P1,sale,{price},{cur}\n"
    feeds.put("shop", START, "a.csv", (HEAD + line).encode())
    feeds.run(START)
    events = feeds.lake.scan("cleaned_events").select(attribute("Amount")).collect()
    assert events["Amount"].to_list() == ([] if expected is None else [expected])
    assert feeds.reasons() == ({"bad_number": 1} if expected is None else {})
