"""Warehouses, mappings and feeds in the sources file; mistakes are found by line and field."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kpi_platform.schemas.sources_file.sources import SourcesError, parse_sources

TEXT = """\
studios:
  - key: kumo
    warehouse: {kind: postgres, dsn_env: KUMO_DSN}
    games:
      - key: mochi
        sources:
          - key: mochi-files
            telemetry: mochi
          - key: mochi-dwh
            schema: '"; drop table'
            player_ids: local
            since: 2026-01-01T00:00:00Z
            tables:
              - table: "Käufe 💰"
                event: Purchase
                key: id
                watermark: {column: updated, zone: Europe/Berlin}
                event_at: {column: at, unit: epoch_ms}
                player_id: user
                attributes:
                  Amount: {column: cents, scale: 0.01}
                  Currency: {literal: EUR}
                deleted: is_deleted
              - table: events
                event: {column: name, names: {buy: Purchase}}
                event_at: ts
                key: [a, b]
                watermark: ts
                json_columns: payload
          - key: console
            feed: {kind: console, folder: psn, event: {column: kind}, event_at: at}
          - key: stream
            feed: {kind: stream, schema: x, table: y, hour: h, average_viewers: v}
"""
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_everything_that_can_be_said_is_read() -> None:
    sources = parse_sources(TEXT, "x.yaml")
    kinds = {source.key: source.kind for _, _, source in sources.walk()}
    assert kinds == {
        "mochi-files": "telemetry",
        "mochi-dwh": "warehouse",
        "console": "console",
        "stream": "stream",
    }
    ((studio, mine),) = sources.warehouses()
    assert studio.key == "kumo"
    assert [(game, source.key) for game, source in mine] == [
        ("mochi", "mochi-dwh"),
        ("mochi", "stream"),
    ]
    purchases, events = mine[0][1].tables
    assert purchases.attributes["Amount"].scale == Decimal("0.01")
    assert purchases.columns_by_use() == {
        "key": {"id"},
        "watermark": {"updated"},
        "event_at": {"at"},
        "player_id": {"user"},
        "attributes.Amount": {"cents"},
        "deleted": {"is_deleted"},
    }
    assert events.columns_by_use()["json_columns"] == {"payload"}
    assert sources.active_in(NEW_YEAR, "telemetry") == ["mochi-files"]
    assert len(sources.active_in(NEW_YEAR)) == 4
    assert sources.folders() == {"mochi-files": "mochi"}


def test_a_strange_folder_called_like_a_warehouse_source_is_not_taken_for_it() -> None:
    assert parse_sources(TEXT, "x").source_of_folder("mochi-dwh") == "unassigned:mochi-dwh"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("literal: EUR", "literal: NO", 22, "Currency.literal: Input should be a valid string"),
        ("dsn_env: KUMO_DSN", "host: x", 3, "either dsn_env or host, database and user"),
        ("dsn_env: KUMO_DSN", "dsn_env: 'postgres://u:p@h'", 3, "dsn_env: String should match"),
        ("dsn_env: KUMO_DSN", "password: x", 3, "password: Extra inputs are not permitted"),
        ("kind: postgres", "kind: oracle", 3, "'duckdb', 'postgres', 'redshift'"),
        ("Europe/Berlin", "Mars", 17, "watermark.zone: 'Mars' is no time zone"),
        ("key: id", "kee: id", 16, "tables.0.kee: Extra inputs"),
        ("unit: epoch_ms", "unit: epoch", 18, "event_at.unit: Input should be 'timestamp'"),
        ("scale: 0.01", "scale: .nan", 21, "Amount.scale: Input should be a finite number"),
        ("scale: 0.01", "scale: 0", 21, "Amount.scale: must be a number that is not zero"),
        ("column: cents, scale", "scale", 21, "Amount: needs either column or literal"),
        ("key: [a, b]", "", 24, "tables.1: a table with a watermark needs its key"),
        ("event_at: ts", "", 24, "tables.1: an event needs event_at"),
        ("watermark: ts", "watermark: {column: ts, path: x}", 28, "is a column of its own"),
        (
            "watermark: ts",
            "watermark: {column: ts, unit: text, format: '%d.%m.%Y'}",
            28,
            "must be %Y %m %d %H %M %S in this order",
        ),
        ("table: events", 'table: "Käufe 💰"', 9, "table mapped twice: Käufe 💰"),
        ("telemetry: mochi", "telemetry: mochi\n            schema: x", 7, "exactly one of"),
        ("telemetry: mochi", "tables: []", 7, "exactly one of telemetry, schema and feed"),
        ("folder: psn, ", "", 31, "feed.console: needs either folder or table"),
        ("schema: x, ", "", 33, "a table needs its schema"),
        ("folder: psn", "folder: ../psn", 31, "feed.console.folder: must be the name of"),
        ("folder: psn", "folder: ..", 31, "feed.console.folder: must be the name of one folder"),
        ("folder: psn", "folder: .", 31, "feed.console.folder: must be the name of one folder"),
        ("folder: psn", "folder: ' '", 31, "feed.console.folder: must be the name of one folder"),
        ("folder: psn", "folder: 'psn '", 31, "folder's name without blanks at its ends"),
        ("folder: psn", 'folder: "p\\0n"', 31, "folder's name without blanks at its ends"),
        ("telemetry: mochi", "telemetry: ..", 8, "telemetry: must be the name of one folder"),
        ("kind: postgres", "kind: Pl4nted", 3, "warehouse: must be one of 'duckdb', 'postgres'"),
        ("    warehouse: {kind: postgres, dsn_env: KUMO_DSN}\n", "", 2, "needs the studio's wareh"),
        ("2026-01-01T00:00:00Z", "2026-13-01", 12, "since: Input should be a valid datetime"),
        ("player_id: user", "player_id: user\n                player_id: b", 20, "is given twice"),
    ],
)
def test_a_mistake_is_said_with_its_line_and_field(
    old: str, new: str, line: int, said: str
) -> None:
    assert old in TEXT
    with pytest.raises(SourcesError) as error:
        parse_sources(TEXT.replace(old, new, 1), "x.yaml")
    message = str(error.value)
    assert message.startswith(f"KPI_SOURCES: x.yaml line {line}: "), message
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["[" * 4000, "a: &a [*a]", "studios: " + "9" * 5000, "\0"])
def test_what_nobody_writes_by_hand_is_still_one_line(text: str) -> None:
    with pytest.raises(SourcesError, match=r"^KPI_SOURCES: x") as error:
        parse_sources(text, "x")
    assert "\n" not in str(error.value)
