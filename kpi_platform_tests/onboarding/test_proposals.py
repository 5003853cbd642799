"""Six studios with very different habits: what is proposed, and that it can be used as it is."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.onboarding.proposal_step import propose_unmapped
from kpi_platform.onboarding.proposal_yaml import as_yaml
from kpi_platform.onboarding.proposals import Proposal, propose
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.studio_databases import CATALOG
from kpi_platform_tests.onboarding.six_studios import SIX_STUDIOS
from kpi_platform_tests.servers import PostgresServer
from kpi_platform_tests.storage.studio_databases.conftest import (
    Studio,
    duckdb_studio,
    postgres_studio,
)

Table = dict[str, object]
EXPECTED: dict[str, dict[str, Table]] = {
    "snake": {
        "purchases": {
            "event": "Purchase",
            "event_at": {"column": "purchased_at"},
            "watermark": {"column": "updated_at"},
            "key": ["purchase_id"],
            "player_id": "player_id",
            "session_id": "session_id",
            "attributes": {
                "Amount": {"column": "price_cents", "scale": "0.01"},
                "Currency": "currency",
                "Sku": "product_sku",
            },
            "deleted": "is_deleted",
            "ignore": ["email"],
        },
        "logins": {
            "event": "SessionStart",
            "event_at": {"column": "logged_at"},
            "watermark": {"column": "updated_at"},
            "key": ["login_id"],
            "player_id": "player_id",
            "session_id": "session_id",
            "platform": "platform",
            "attributes": {"Country": "country"},
        },
    },
    "camel": {
        "PurchaseEvents": {
            "event": "Purchase",
            "event_at": {"column": "createdAtMs", "unit": "epoch_ms"},
            "watermark": {"column": "createdAtMs", "unit": "epoch_ms"},
            "key": ["eventId"],
            "player_id": "userId",
            "session_id": "sessionKey",
            # Yen have no cents, whatever `priceMinor` may say.
            "attributes": {
                "Amount": {"column": "payload", "path": ["priceMinor"]},
                "Currency": {"column": "payload", "path": ["currency"]},
                "Sku": {"column": "payload", "path": ["sku"]},
            },
            "json_columns": ["payload"],
        },
        "AppCrashes": {
            "event": "Crash",
            "event_at": {"column": "crashedAt", "unit": "epoch_ms"},
            "watermark": {"column": "crashedAt", "unit": "epoch_ms"},
            "key": ["crashId"],
            "player_id": "userId",
            "attributes": {"Code": "errorCode", "Severity": "severity"},
        },
    },
    "wide": {
        "events": {
            "event": {
                "column": "event_type",
                "names": {
                    "app_crash": "Crash",
                    "buy": "Purchase",
                    "login": "SessionStart",
                    "logout": "SessionEnd",
                },
            },
            "event_at": {"column": "ts", "unit": "epoch_s"},
            "watermark": {"column": "loaded_at"},
            "key": ["id"],
            "player_id": "uid",
            "session_id": "sid",
            "platform": "os",
            "attributes": {
                "Amount": {"column": "props", "path": ["price"]},
                "Currency": {"column": "props", "path": ["currency"]},
                "Sku": {"column": "props", "path": ["item_id"]},
                "DurationSeconds": {
                    "column": "props",
                    "path": ["duration_ms"],
                    "scale": "0.001",
                },
            },
            "json_columns": ["props"],
        }
    },
    "german": {
        "Käufe 💰": {
            "event": "Purchase",
            "event_at": {"column": "Gekauft am", "unit": "text", "format": "%d.%m.%Y %H:%M"},
            "watermark": {"column": "Geändert am"},
            "key": ["Kauf Nr"],
            "player_id": "Spieler Nr",
            "attributes": {
                "Amount": "Betrag (EUR)",
                "Currency": {"literal": "EUR"},
                "Sku": "Artikel",
            },
        },
        "Anmeldungen": {
            "event": "SessionStart",
            "event_at": {"column": "Zeitpunkt"},
            "watermark": {"column": "Zeitpunkt"},
            "key": ["Nr"],
            "player_id": "Spieler Nr",
            "session_id": "Sitzung",
        },
    },
    "per_platform": {
        f"iap_{table}": {
            "event": "Purchase",
            "event_at": {"column": "ts", "unit": "epoch_s"},
            "watermark": {"column": "updated_ts", "unit": "epoch_s"},
            "key": ["tx_id"],
            "player_id": "account_id",
            "platform": {"literal": platform},
            "attributes": {
                "Amount": {"column": "amount", "scale": "0.01"},
                "Currency": "currency_code",
            },
        }
        for table, platform in (("ios", "ios"), ("android", "android"), ("ps5", "playstation"))
    },
    "views": {
        "v_orders": {
            "event": "Purchase",
            "event_at": {"column": "timestamp"},
            "watermark": {"column": "modified_utc"},
            "key": ["order"],
            "player_id": "user",
            "attributes": {"Amount": "amount_usd", "Currency": {"literal": "USD"}},
        },
        "v_client_version": {
            "event": "SoftwareVersion",
            "event_at": {"column": "seen_at_utc"},
            "watermark": {"column": "seen_at_utc"},
            "key": ["row_id"],
            "player_id": "user",
            "attributes": {"Version": "app_version", "Device": "device"},
        },
    },
}


@pytest.fixture(params=["duckdb", "postgres"])
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Studio]:
    """An empty database of each kind."""
    if request.param == "postgres":
        made = postgres_studio(request.getfixturevalue("postgres_server"))
    else:
        made = duckdb_studio(tmp_path)
    yield made
    made.warehouse.close()


@pytest.mark.parametrize("name", SIX_STUDIOS)
def test_what_is_proposed_for_a_studio(studio: Studio, name: str) -> None:
    schema, statements = SIX_STUDIOS[name]
    studio.execute(statements)
    catalogs = {schema: studio.warehouse.discover(schema)}
    found = propose_unmapped(studio.warehouse, [], catalogs, sample_views=True)
    mapped = {p.table: dict(p.mapping) for p in found[schema] if p.mapping}
    wanted = {table: {"table": table, **rest} for table, rest in EXPECTED[name].items()}
    assert mapped == wanted
    text = as_yaml(name, {"kind": "duckdb", "path": "x"}, found)
    (source,) = (source for _, _, source in parse_sources(text, "proposed").walk())
    assert {mapping.table for mapping in source.tables} == set(wanted)
    for proposal in found[schema]:
        assert proposal.reasons
        assert all(reason in text for reason in proposal.reasons if proposal.mapping)


def catalog(columns: dict[str, str]) -> pl.DataFrame:
    rows = [
        ("t", "table", c, n, kind, True, False, True) for n, (c, kind) in enumerate(columns.items())
    ]
    return pl.DataFrame(rows, schema=CATALOG, orient="row")


def proposed(table: str, columns: dict[str, str], **sample: list[str]) -> Proposal:
    return propose(table, catalog(columns), pl.DataFrame(sample) if sample else None)


def test_a_local_time_beside_an_absolute_one_tells_its_zone() -> None:
    found = proposed(
        "purchases",
        {
            "id": "bigint",
            "bought_local": "text",
            "bought": "text",
            "loaded_ms": "bigint",
            "price": "real",
        },
        id=["1", "2"],
        bought=["2026-01-01T09:00:00", "2026-01-01T10:00:00"],
        loaded_ms=["1767225610000", "1767229210000"],
        price=["1", "2"],
    )
    assert found.mapping["event_at"] == {"column": "bought", "unit": "text", "zone": "Asia/Tokyo"}
    assert any("+9 h from loaded_ms, so probably Asia/Tokyo" in reason for reason in found.reasons)


def test_a_date_that_can_be_read_in_two_ways_is_said() -> None:
    columns = {"id": "bigint", "bought_at": "text", "price": "real"}
    both = proposed("sales", columns, id=["1"], bought_at=["01/02/2026 10:00:00"], price=["1"])
    assert any("could also be %m/%d/%Y %H:%M:%S" in reason for reason in both.reasons)
    one = proposed("sales", columns, id=["1"], bought_at=["13/02/2026 10:00:00"], price=["1"])
    assert one.confidence > both.confidence


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        ("country_names", {"code": "text", "name": "text"}, "nothing tells which event"),
        ("purchases", {"id": "bigint", "price": "real"}, "looks like Purchase, but has no time"),
        ("x" * 4000, {"y": "text"}, "nothing tells which event"),
    ],
)
def test_no_proposal_says_why(table: str, columns: dict[str, str], said: str) -> None:
    found = proposed(table, columns)
    assert found.mapping == {}
    assert said in found.reasons[0]


def test_a_purchase_without_an_amount_is_hardly_one() -> None:
    columns = {"id": "bigint", "created_at": "timestamp with time zone", "player_id": "bigint"}
    without = proposed("orders", columns)
    with_amount = proposed("orders", {**columns, "total": "numeric(10,2)", "currency": "text"})
    assert without.confidence < 0.6 < with_amount.confidence
    assert any("no column looks like Amount" in reason for reason in without.reasons)


@pytest.mark.parametrize("price", ["1e400", "NaN", "-5", "100000000", "99"])
def test_absurd_prices_are_looked_at(price: str) -> None:
    columns = {"id": "bigint", "bought_at": "timestamp", "price": "text", "currency": "text"}
    found = proposed("sales", columns, id=["1"], price=[price], currency=["EUR"])
    assert found.mapping["event"] == "Purchase"


def test_names_from_outside_cannot_leave_their_place_in_the_file() -> None:
    wild = "purchases\n- key: x # \u2028 \x85 &a *b !!python/object"
    columns = {
        "id: {": "bigint",
        "price\n}": "real",
        "bought_at": "timestamp",
        "player\tid": "text",
    }
    rows = catalog(columns).with_columns(table=pl.lit(wild))
    text = as_yaml("st\nudio", {"kind": "duckdb", "path": "x"}, {wild: [propose(wild, rows, None)]})
    (studio,) = parse_sources(text, "proposed").studios
    assert studio.key == "st\nudio"
    (mapping,) = studio.games[0].sources[0].tables
    assert mapping.table == wild
    assert yaml.safe_load(text)["studios"][0]["games"][0]["key"] == wild


_WORDS = "purchase event type player id at price cents updated platform ios Käufe payload"
_PIECES = st.sampled_from([*_WORDS.split(), *" \"':#{-_\n\t\u2028💰"])
_NAMES = st.lists(_PIECES, min_size=1, max_size=4).map("".join)
_TYPES = st.sampled_from(["bigint", "text", "timestamp", "numeric(10,2)", "json", "int[]", "boo"])
_TEXTS = "1 499 1767225600 1e400 NaN 2026-01-01 2026-01-01T00:00:00+02 { buy login 01.02.2026 EUR"
_VALUES = st.sampled_from([None, "", '{"a": {"price": 1}}', "x" * 5000, *_TEXTS.split()])


@settings(max_examples=150, deadline=None)
@given(
    tables=st.dictionaries(
        _NAMES, st.dictionaries(_NAMES, st.tuples(_TYPES, _VALUES, _VALUES), min_size=1), max_size=3
    ),
    schema=_NAMES,
)
def test_whatever_is_found_what_is_proposed_is_a_sources_file(
    tables: dict[str, dict[str, tuple[str, str | None, str | None]]], schema: str
) -> None:
    proposals = []
    for table, columns in tables.items():
        rows = catalog({name: kind for name, (kind, _, _) in columns.items()})
        sample = pl.DataFrame(
            {name: [one, other] for name, (_, one, other) in columns.items()},
            schema=dict.fromkeys(columns, pl.String),
        )
        proposals.append(propose(table, rows.with_columns(table=pl.lit(table)), sample))
    text = as_yaml("s", {"kind": "duckdb", "path": "x"}, {schema: proposals})
    (source,) = (source for _, _, source in parse_sources(text, "proposed").walk())
    assert source.schema_ == schema
    assert {m.table for m in source.tables} <= set(tables)


def proposals_of(studio: Studio, schema: str, statements: str) -> dict[str, Proposal]:
    studio.execute(f"CREATE SCHEMA {schema}; {statements}")
    found = propose_unmapped(studio.warehouse, [], {schema: studio.warehouse.discover(schema)})
    return {proposal.table: proposal for proposal in found[schema]}


def test_a_key_that_only_the_sample_has_is_not_proposed(studio: Studio) -> None:
    lines = " UNION ALL ".join(
        f"""SELECT n::bigint AS order_id, {line} AS line_no, TIMESTAMPTZ '2026-02-01 00:00+00'
            + n * interval '1 minute' AS updated_at,
            TIMESTAMPTZ '2026-02-01 00:00+00' AS ordered_at,
            'p' || n AS player_id, 1.00::numeric(10, 2) AS amount, 'USD' AS currency
            FROM generate_series(1, 300) g(n)"""
        for line in (1, 2)
    )
    found = proposals_of(studio, "game", f"CREATE TABLE game.orders AS {lines}")
    assert found["orders"].mapping["key"] == ["order_id", "line_no"]
    studio.execute("ALTER TABLE game.orders DROP COLUMN line_no")
    again = propose_unmapped(studio.warehouse, [], {"game": studio.warehouse.discover("game")})
    (proposal,) = again["game"]
    assert "key" not in proposal.mapping
    assert "watermark" not in proposal.mapping
    assert any(reason.startswith("key: none found") for reason in proposal.reasons)


def test_a_key_that_nobody_could_look_up_is_little_sure() -> None:
    columns = {"order_id": "bigint", "updated_at": "timestamp", "ordered_at": "timestamp"}
    sample = pl.DataFrame({"order_id": ["1", "2"], "ordered_at": ["2026-01-01 00:00:00"] * 2})
    unknown = propose("orders", catalog(columns), sample)
    known = propose("orders", catalog(columns), sample, lambda _: False)
    assert unknown.mapping["key"] == known.mapping["key"] == ["order_id"]
    assert unknown.confidence < known.confidence
    assert any("is not known: check (0.40)" in reason for reason in unknown.reasons)


PURCHASES = """
    (id bigint PRIMARY KEY, player_id text, amount numeric(10, 2), currency text,
     purchased_at timestamptz, updated_at timestamptz)
"""


def test_what_shows_rows_of_a_proposed_table_is_not_proposed_beside_it(studio: Studio) -> None:
    more = "CREATE TABLE game.purchases_2026 () INHERITS (game.purchases);"
    found = proposals_of(
        studio,
        "game",
        f"""
        CREATE TABLE game.purchases {PURCHASES};
        CREATE VIEW game.eu_purchases AS SELECT * FROM game.purchases WHERE currency = 'EUR';
        CREATE VIEW game.big_purchases AS SELECT * FROM game.eu_purchases WHERE amount > 9;
        CREATE TABLE game.raw_lines (payload text);
        CREATE VIEW game.crashes AS SELECT payload AS crash_id, payload AS error_code,
          CURRENT_TIMESTAMP AS crashed_at FROM game.raw_lines;
        {more if studio.kind == "postgres" else ""}
        """,
    )
    assert found.pop("purchases").mapping
    # Its own table says nothing of events: the view is what there is.
    assert found.pop("crashes").mapping["event"] == "Crash"
    assert found.pop("raw_lines").reasons == ("nothing tells which event its rows are",)
    assert found.keys() >= {"eu_purchases", "big_purchases"}
    for proposal in found.values():
        assert not proposal.mapping
        (reason,) = proposal.reasons
        assert reason.startswith("shows rows of ") and "game.purchases" in reason


def test_a_view_is_sampled_only_when_asked_and_a_slow_table_is_proposed_by_its_names(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kpi_platform.storage.studio_databases.postgres.postgres.SAMPLE_SECONDS", 0.5
    )
    studio = postgres_studio(postgres_server)
    columns = "id, player_id, amount, currency, purchased_at, updated_at"
    found = proposals_of(
        studio,
        "game",
        f"""
        CREATE SCHEMA hidden; CREATE TABLE hidden.x {PURCHASES};
        INSERT INTO hidden.x VALUES (1, 'p', 1, 'EUR', now(), now());
        CREATE VIEW game.purchases AS SELECT {columns}, pg_sleep(3600)::text AS z FROM hidden.x;
        """,
    )
    assert found["purchases"].mapping["player_id"] == "player_id"
    catalogs = {"game": studio.warehouse.discover("game")}
    asked = propose_unmapped(studio.warehouse, [], catalogs, sample_views=True)
    assert asked["game"][0].mapping["player_id"] == "player_id"
    studio.warehouse.close()
