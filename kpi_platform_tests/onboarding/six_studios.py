"""Six invented studios with very different habits, as SQL that DuckDB and PostgreSQL understand.

Belongs here: their tables and a few rows. Does not: what is expected of them.
"""

_ROWS = "generate_series(0, 59) AS g(n)"

SNAKE = f"""
CREATE SCHEMA prod;
CREATE TABLE prod.purchases (
  purchase_id bigint PRIMARY KEY, player_id varchar(40), session_id varchar(40),
  product_sku varchar(40), price_cents integer, currency char(3), purchased_at timestamptz,
  updated_at timestamptz, is_deleted boolean, email varchar(80));
INSERT INTO prod.purchases SELECT n, 'P' || (n % 7), 'S' || n, 'gems_' || (n % 3), 499, 'EUR',
  timestamptz '2026-01-01 00:00:00+00' + n * interval '1 minute',
  timestamptz '2026-01-01 00:05:00+00' + n * interval '1 minute', false, 'p@example.org'
  FROM {_ROWS};
CREATE TABLE prod.logins (
  login_id bigint PRIMARY KEY, player_id varchar(40), session_id varchar(40), platform varchar(9),
  country char(2), logged_at timestamptz, updated_at timestamptz);
INSERT INTO prod.logins SELECT n, 'P' || (n % 7), 'S' || n, 'pc', 'SE',
  timestamptz '2026-01-01 00:00:00+00' + n * interval '1 minute',
  timestamptz '2026-01-01 00:05:00+00' + n * interval '1 minute' FROM {_ROWS};
CREATE TABLE prod.country_names (code char(2), name varchar(40));
INSERT INTO prod.country_names VALUES ('SE', 'Sweden'), ('JP', 'Japan');
"""

CAMEL = f"""
CREATE SCHEMA "gameDb";
CREATE TABLE "gameDb"."PurchaseEvents" (
  "eventId" varchar(40), "userId" bigint, "sessionKey" varchar(40), "createdAtMs" bigint,
  "createdLocal" varchar(19), "payload" json);
INSERT INTO "gameDb"."PurchaseEvents" SELECT 'e' || n, 1000 + n % 7, 's' || n,
  1767225600000 + n * 60000,
  CAST(timestamp '2026-01-01 09:00:00' + n * interval '1 minute' AS varchar(19)),
  CAST('{{"sku": "gem' || (n % 3) || '", "priceMinor": ' || (120 + 10 * (n % 5))
       || ', "currency": "JPY"}}' AS json)
  FROM {_ROWS};
CREATE TABLE "gameDb"."AppCrashes" (
  "crashId" varchar(40), "userId" bigint, "crashedAt" bigint, "errorCode" varchar(20),
  "severity" integer);
INSERT INTO "gameDb"."AppCrashes" SELECT 'c' || n, 1000 + n % 7, 1767225600000 + n * 60000,
  'E' || n % 4, n % 3 FROM {_ROWS};
"""

WIDE = f"""
CREATE SCHEMA telemetry;
CREATE TABLE telemetry.events (
  id bigint, event_type varchar(40), ts bigint, uid varchar(40), sid varchar(40), os varchar(20),
  props varchar(2000), loaded_at timestamp);
INSERT INTO telemetry.events SELECT n,
  CASE n % 5 WHEN 0 THEN 'buy' WHEN 1 THEN 'login' WHEN 2 THEN 'logout' WHEN 3 THEN 'app_crash'
             ELSE 'level_up' END,
  1767225600 + n * 60, 'U' || n % 7, 'X' || n, 'android',
  CASE n % 5 WHEN 0 THEN '{{"price": 4.99, "currency": "USD", "item_id": "sword"}}'
             WHEN 2 THEN '{{"duration_ms": 90000}}' ELSE '{{"level": 3}}' END,
  timestamp '2026-01-01 00:05:00' + n * interval '1 minute'
  FROM {_ROWS};
"""

GERMAN = f"""
CREATE SCHEMA "Spiel ""Drei"" neu";
CREATE TABLE "Spiel ""Drei"" neu"."Käufe 💰" (
  "Kauf Nr" bigint, "Spieler Nr" bigint, "Gekauft am" varchar(19), "Betrag (EUR)" numeric(12, 2),
  "Artikel" varchar(40), "order" integer, "select" varchar(5), "Geändert am" timestamp);
INSERT INTO "Spiel ""Drei"" neu"."Käufe 💰" SELECT n, 500 + n % 7,
  '01.01.2026 12:' || CASE WHEN n < 10 THEN '0' ELSE '' END || n, 9.99, 'Schwert', n, 'x',
  timestamp '2026-01-01 13:05:00' + n * interval '1 minute'
  FROM {_ROWS};
CREATE TABLE "Spiel ""Drei"" neu"."Anmeldungen" (
  "Nr" bigint, "Spieler Nr" bigint, "Sitzung" varchar(40), "Zeitpunkt" timestamp);
INSERT INTO "Spiel ""Drei"" neu"."Anmeldungen" SELECT n, 500 + n % 7, 's' || n,
  timestamp '2026-01-01 12:00:00' + n * interval '1 minute' FROM {_ROWS};
"""

PER_PLATFORM = "CREATE SCHEMA dw;" + "".join(
    f"""
CREATE TABLE dw.iap_{platform} (
  tx_id varchar(40), account_id bigint, amount integer, currency_code char(3), ts bigint,
  updated_ts bigint);
INSERT INTO dw.iap_{platform} SELECT '{platform}' || n, n % 7, 100 * (n % 9) + 99, 'USD',
  1767225600 + n * 60, 1767225900 + n * 60 FROM {_ROWS};
"""
    for platform in ("ios", "android", "ps5")
)

VIEWS = f"""
CREATE SCHEMA reporting;
CREATE TABLE reporting.base (
  a bigint, b varchar(40), c double precision, d timestamp, v varchar(9));
INSERT INTO reporting.base SELECT n, 'G' || n % 7, 1.99, timestamp '2026-01-01 00:00:00'
  + n * interval '1 minute', '1.' || n % 4 FROM {_ROWS};
CREATE VIEW reporting.v_orders AS SELECT a AS "order", b AS "user", c AS amount_usd,
  d AS "timestamp", d AS modified_utc FROM reporting.base;
CREATE VIEW reporting.v_client_version AS SELECT a AS row_id, b AS "user", v AS app_version,
  'Switch' AS device, d AS seen_at_utc FROM reporting.base;
"""

SIX_STUDIOS = {
    "snake": ("prod", SNAKE),
    "camel": ("gameDb", CAMEL),
    "wide": ("telemetry", WIDE),
    "german": ('Spiel "Drei" neu', GERMAN),
    "per_platform": ("dw", PER_PLATFORM),
    "views": ("reporting", VIEWS),
}
