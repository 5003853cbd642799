"""The messages that are to leave, written down before they are sent, until they have arrived.

Belongs here: the table `alert_messages` and trying again. Does not: what is said and to whom (the
rooms), and how it is sent (`senders.py`).

A message is noted as sent after it was taken: a kill in between sends it once more. What a service
does not take is tried again with doubling waits, for as long as it takes.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from kpi_platform.delivery.destinations import MailService, Service
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.messages import message_of
from kpi_platform.delivery.senders import send
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

TABLE = "alert_messages"
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
# A pass is a tick of a sensor, which Dagster ends: no message is begun later than this.
SECONDS = 25.0
# Within a pass a message is tried this often, if the service does not ask for a longer wait.
_TRIES, _SHORT_WAIT = 3, 3.0


@dataclass(frozen=True)
class Entry:
    """A message to one recipient of a policy. `receipt`: what names its thread at the service."""

    message_id: str
    policy: str
    recipient: str
    thread: str
    event: str
    content: str
    created_at: datetime
    next_at: datetime
    attempts: int = 0
    state: str = "waiting"
    sent_at: datetime | None = None
    error: str = ""
    receipt: str = ""


@dataclass(frozen=True)
class Route:
    """How the messages of a policy leave."""

    service: Service
    mail: MailService | None


Send = Callable[[Route, Entry, str], str]


def read_entries(lake: Lake, threads: Iterable[str]) -> list[Entry]:
    """Every message of these threads."""
    which = pl.col("thread").is_in(list(threads))
    return _entries(lake.scan(TABLE).filter(which))


def read_waiting(lake: Lake) -> list[Entry]:
    """The messages that have not arrived, the oldest first."""
    return _entries(lake.scan_text(TABLE, "state", "waiting"))


def write_entries(lake: Lake, entries: Sequence[Entry]) -> None:
    """Write down new messages, in one commit; without any, nothing is written."""
    if entries:
        rows = _frame(entries)
        lake.apply_changes(TABLE, rows, rows.clear())


def drop_waiting(lake: Lake, recipient: str, event: str, why: str) -> None:
    """Drop the messages of this event that wait for a mail address, whatever its letters' case."""
    for entry in read_waiting(lake):
        if entry.event == event and entry.recipient.lower() == recipient.lower():
            _note(lake, entry, replace(entry, state="dropped", error=why))


def _note(lake: Lake, before: Entry, after: Entry) -> None:
    """Note what became of a message, in one commit: it moves to its new state."""
    moved = _frame([before] if before.state != after.state else [])
    lake.apply_changes(TABLE, _frame([after]), moved)


def _frame(entries: Sequence[Entry]) -> pl.DataFrame:
    schema = TABLES[TABLE].polars_schema
    return pl.DataFrame([vars(entry) for entry in entries], schema=schema, orient="row")


def deliver(
    lake: Lake,
    routes: dict[str, Route],
    at: datetime,
    send_one: Send | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Entry]:
    """Send what is due at `at`, and note of each what became of it, which is returned.

    A policy that is no more takes its messages with it. Of one thread nothing goes before what
    came first; a recipient that took nothing is not tried again in the same pass.
    """
    waiting, until = read_waiting(lake), clock() + SECONDS
    done: list[Entry] = []
    held: set[tuple[str, str]] = set()
    late: set[tuple[str, str, str]] = set()
    for entry in waiting:
        whom, in_thread = _whom(entry), (*_whom(entry), entry.thread)
        if whom in held or in_thread in late:
            continue
        if entry.policy not in routes:
            after = replace(entry, state="dropped", error="its policy is no more")
        elif entry.next_at > at or clock() > until:
            late.add(in_thread)
            continue
        else:
            thread = _thread_of(lake, entry)
            after = _tried(entry, routes[entry.policy], thread, at, send_one or _send, sleep)
        _note(lake, entry, after)
        done.append(after)
        if after.state == "waiting":
            held.add(whom)
    return done


def _whom(entry: Entry) -> tuple[str, str]:
    return entry.policy, entry.recipient


def _tried(
    entry: Entry,
    route: Route,
    thread: str,
    at: datetime,
    send_one: Send,
    sleep: Callable[[float], None],
) -> Entry:
    attempts = entry.attempts + 1
    try:
        receipt = _retrying(sleep)(send_one, route, entry, thread)
    except DeliveryError as error:
        doubled = min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT)
        wait = max(doubled, timedelta(seconds=error.wait_seconds))
        return replace(entry, attempts=attempts, next_at=at + wait, error=str(error))
    return replace(entry, attempts=attempts, state="sent", sent_at=at, error="", receipt=receipt)


def _send(route: Route, entry: Entry, thread: str) -> str:
    return send(route.service, route.mail, entry.recipient, message_of(entry.content), thread)


def _retrying(sleep: Callable[[float], None]) -> Retrying:
    def may_pass(error: BaseException) -> bool:
        if not isinstance(error, DeliveryError) or error.is_lasting:
            return False
        return error.wait_seconds <= _SHORT_WAIT

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_seconds if isinstance(error, DeliveryError) else 0.0
        return float(max(asked, 0.5 * 2 ** (state.attempt_number - 1)))

    return Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_attempt(_TRIES),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )


def _thread_of(lake: Lake, entry: Entry) -> str:
    """What names the thread at the service, if a message of it has arrived there."""
    if entry.event not in ("grown", "resolved"):
        return ""
    earlier = [e for e in read_entries(lake, [entry.thread]) if _whom(e) == _whom(entry)]
    return next((e.receipt for e in earlier if e.receipt), "")


def _entries(rows: pl.LazyFrame) -> list[Entry]:
    found = rows.sort("created_at", "message_id").select(TABLES[TABLE].polars_schema.names())
    return [Entry(**row) for row in found.collect().iter_rows(named=True)]
