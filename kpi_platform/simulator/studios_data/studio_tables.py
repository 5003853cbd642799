"""How three studios write their events down: three schemas that have nothing in common.

Belongs here: tables, columns, types, units and zones, and the mapping that undoes them. Does not:
the events, and writing files.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from kpi_platform.simulator.studios_data.studio_games import StudioEvent, StudioGame

Tables = dict[str, pl.DataFrame]
_TOKYO = ZoneInfo("Asia/Tokyo")
_LOCAL_FORMAT = "%Y-%m-%d %H:%M:%S"


def player_text(game: StudioGame, player: int) -> str:
    """The player's id as the studio has it: a console account's, or a number of its own."""
    return str(90_000 + player) if game.is_local else f"P{player:07d}"


def tables_of(game: StudioGame, events: Sequence[StudioEvent]) -> Tables:
    """The studio's tables of these events."""
    return _WRITERS[game.writes](game, events)


def _table(
    events: Sequence[StudioEvent], row: Callable[[StudioEvent], dict[str, object]]
) -> pl.DataFrame:
    """The rows of these events; a full row before them gives a table without any its types."""
    full = StudioEvent(0, "", 0, 0, 0, "session", "1", "device", 1, 1, gone=True)
    return pl.DataFrame([row(event) for event in (full, *events)], infer_schema_length=None)[1:]


def _of_kind(events: Sequence[StudioEvent], kind: str) -> list[StudioEvent]:
    return [event for event in events if event.kind == kind]


def _camel(game: StudioGame, events: Sequence[StudioEvent]) -> Tables:
    """Camel case, Unix milliseconds, prices in cents, a flag for refunds."""

    def frame(kind: str, more: Callable[[StudioEvent], dict[str, object]]) -> pl.DataFrame:
        return _table(
            _of_kind(events, kind),
            lambda event: {
                "eventId": event.number,
                "accountId": player_text(game, event.player),
                "sessionGuid": event.session,
                "occurredAtMs": 0 if event.flaw == "time" else event.at_ms,
                "updatedAtMs": event.written_ms,
                **more(event),
            },
        )

    return {
        "SignIns": frame("SessionStart", lambda _: {"hardwareFamily": game.platform}),
        "ClientVersions": frame(
            "SoftwareVersion", lambda e: {"clientVersion": e.version, "deviceName": e.device}
        ),
        "StoreOrders": frame(
            "Purchase",
            lambda e: {
                "priceCents": float("nan") if e.flaw == "amount" else float(e.amount_minor),
                "currencyCode": game.currency,
                "isRefund": e.is_refund,
                "isVoided": e.gone,
                "storeFront": "northern",
            },
        ),
        "SignOuts": frame("SessionEnd", lambda e: {"lengthSeconds": e.seconds}),
    }


def _snake(game: StudioGame, events: Sequence[StudioEvent]) -> Tables:
    """Snake case, the studio's local time as text, prices as people write them."""

    def local(milliseconds: int) -> str:
        return datetime.fromtimestamp(milliseconds // 1000, _TOKYO).strftime(_LOCAL_FORMAT)

    def frame(kind: str, more: Callable[[StudioEvent], dict[str, object]]) -> pl.DataFrame:
        return _table(
            _of_kind(events, kind),
            lambda event: {
                "row_id": f"{kind[:2].lower()}{event.number}",
                "user_no": 90_000 + event.player,
                "play_id": event.session,
                "happened": "0000-00-00" if event.flaw == "time" else local(event.at_ms),
                "updated_at": local(event.written_ms),
                **more(event),
            },
        )

    def price(event: StudioEvent) -> str:
        if event.flaw == "amount":
            return "n/a"
        return f"{'-' if event.is_refund else ''}{event.amount_minor:,}"

    items = [{"item_code": f"item{n}", "yen": yen} for n, yen in enumerate(game.prices_minor)]
    return {
        "logins": frame("SessionStart", lambda _: {"os_family": "droid"}),
        "app_versions": frame("SoftwareVersion", lambda e: {"ver": e.version, "model": e.device}),
        "purchases": frame(
            "Purchase",
            lambda e: {"price": price(e), "deleted_at": local(e.written_ms) if e.gone else None},
        ),
        "logouts": frame("SessionEnd", lambda e: {"secs": e.seconds}),
        "items": pl.DataFrame(items),
    }


def _wide(game: StudioGame, events: Sequence[StudioEvent]) -> Tables:
    """One table for everything, what differs in a JSON column, a blank and a quote in its name."""
    names = {"SessionStart": "login", "SoftwareVersion": "build", "Purchase": "iap"}

    def amount(event: StudioEvent) -> str:
        minor = -event.amount_minor if event.is_refund else event.amount_minor
        return "1e400" if event.flaw == "amount" else f"{minor / 100:.2f}"

    def payload(event: StudioEvent) -> str:
        payloads: dict[str, dict[str, object]] = {
            "SoftwareVersion": {"build": event.version, "hw": {"model": event.device}},
            "Purchase": {"amount": amount(event), "cur": game.currency},
            "SessionEnd": {"secs": event.seconds},
        }
        return json.dumps(payloads.get(event.kind, {"net": "wifi"}), separators=(",", ":"))

    def at(milliseconds: int) -> datetime:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)

    def row(event: StudioEvent) -> dict[str, object]:
        return {
            "order": event.number,
            "evt": names.get(event.kind, "logout"),
            "who": player_text(game, event.player),
            "sid": event.session,
            "ts": None if event.flaw == "time" else at(event.at_ms),
            "loaded at": at(event.written_ms),
            "payload": payload(event),
            "deleted": int(event.gone),
        }

    return {'all "events"': _table(events, row)}


_WRITERS: dict[str, Callable[[StudioGame, Sequence[StudioEvent]], Tables]] = {
    "camel": _camel,
    "snake": _snake,
    "wide": _wide,
}

MAPPINGS = {
    "camel": """
- table: SignIns
  key: eventId
  watermark: {column: updatedAtMs, unit: epoch_ms}
  event: SessionStart
  event_at: {column: occurredAtMs, unit: epoch_ms}
  player_id: accountId
  session_id: sessionGuid
  platform: hardwareFamily
- table: ClientVersions
  key: eventId
  watermark: {column: updatedAtMs, unit: epoch_ms}
  event: SoftwareVersion
  event_at: {column: occurredAtMs, unit: epoch_ms}
  player_id: accountId
  session_id: sessionGuid
  attributes: {Version: clientVersion, Device: deviceName}
- table: StoreOrders
  key: eventId
  watermark: {column: updatedAtMs, unit: epoch_ms}
  event: Purchase
  event_at: {column: occurredAtMs, unit: epoch_ms}
  player_id: accountId
  session_id: sessionGuid
  attributes:
    Amount: {column: priceCents, scale: 0.01, negative_when: {column: isRefund}}
    Currency: currencyCode
  deleted: isVoided
- table: SignOuts
  key: eventId
  watermark: {column: updatedAtMs, unit: epoch_ms}
  event: SessionEnd
  event_at: {column: occurredAtMs, unit: epoch_ms}
  player_id: accountId
  session_id: sessionGuid
  attributes: {DurationSeconds: lengthSeconds}
""",
    "snake": """
- table: logins
  key: row_id
  watermark: {column: updated_at, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  event: SessionStart
  event_at: {column: happened, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  player_id: user_no
  session_id: play_id
  platform: {column: os_family, names: {droid: android}}
- table: app_versions
  key: row_id
  watermark: {column: updated_at, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  event: SoftwareVersion
  event_at: {column: happened, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  player_id: user_no
  session_id: play_id
  attributes: {Version: ver, Device: model}
- table: purchases
  key: row_id
  watermark: {column: updated_at, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  event: Purchase
  event_at: {column: happened, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  player_id: user_no
  session_id: play_id
  attributes: {Amount: price, Currency: {literal: JPY}}
  deleted: deleted_at
- table: logouts
  key: row_id
  watermark: {column: updated_at, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  event: SessionEnd
  event_at: {column: happened, unit: text, zone: Asia/Tokyo, format: "%Y-%m-%d %H:%M:%S"}
  player_id: user_no
  session_id: play_id
  attributes: {DurationSeconds: secs}
- table: items
  key: item_code
""",
    "wide": """
- table: all "events"
  key: order
  watermark: loaded at
  event:
    column: evt
    names: {login: SessionStart, build: SoftwareVersion, iap: Purchase, logout: SessionEnd}
  event_at: ts
  player_id: who
  session_id: sid
  platform: {literal: switch}
  attributes:
    Version: {column: payload, path: build}
    Device: {column: payload, path: [hw, model]}
    Amount: {column: payload, path: amount}
    Currency: {column: payload, path: cur}
    DurationSeconds: {column: payload, path: secs}
  deleted: deleted
""",
}
