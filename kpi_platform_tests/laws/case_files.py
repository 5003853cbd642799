"""Moves as JSON: what the machine found, kept readable, to be made again by every later engine.

Belongs here: writing and reading `cases/*.json`. Does not: making the moves.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kpi_platform_tests.laws.lake_world import WHOLE, Fault, Killed, Move
from kpi_platform_tests.reference import Event

CASES = Path(__file__).parent / "cases"
_ERRORS: dict[str, type[BaseException]] = {"Killed": Killed, "OSError": OSError}


def write_case(path: Path, moves: Sequence[Move]) -> None:
    """Write moves, one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(_plain(move), sort_keys=True) for move in moves]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_case(path: Path) -> list[Move]:
    """Read the moves of a case."""
    return [_move(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _plain(move: Move) -> dict[str, Any]:
    plain: dict[str, Any] = {"hours": [hour.isoformat() for hour in move.hours]}
    if move.put:
        plain["put"] = {
            hour.isoformat(): [_plain_event(event) for event in events]
            for hour, events in move.put.items()
        }
    if move.chunk_limit != WHOLE:
        plain["chunk_limit"] = move.chunk_limit
    if move.fault:
        plain["fault"] = [move.fault.at_write, move.fault.error.__name__]
    if move.beside:
        plain["beside"] = [hour.isoformat() for hour in move.beside]
    return plain


def _plain_event(event: Event) -> dict[str, Any]:
    return {
        "session": event.session,
        "at": event.at.isoformat(),
        "name": event.name,
        "attributes": event.attributes,
        "txn": event.txn,
        "source": event.source,
        "service": event.service,
    }


def _move(plain: dict[str, Any]) -> Move:
    put = {
        datetime.fromisoformat(hour): [_event(event, hour) for event in events]
        for hour, events in plain.get("put", {}).items()
    }
    fault = plain.get("fault")
    return Move(
        hours=_hours(plain["hours"]),
        put=put,
        chunk_limit=plain.get("chunk_limit", WHOLE),
        fault=Fault(fault[0], _ERRORS[fault[1]]) if fault else None,
        beside=_hours(plain.get("beside", [])),
    )


def _event(plain: dict[str, Any], hour: str) -> Event:
    at, ingest_hour = datetime.fromisoformat(plain["at"]), datetime.fromisoformat(hour)
    return Event(**{**plain, "at": at, "ingest_hour": ingest_hour})


def _hours(texts: Sequence[str]) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(text) for text in texts)
