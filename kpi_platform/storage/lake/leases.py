"""A lease: a lock that is an object in a store, kept by renewing it, taken over when it is not.

Belongs here: who has a lease, and that it is nobody else's. Does not: what is locked (locks.py).

Every change is a conditional put: it succeeds only if the object is as it was last seen, so of any
number of runs exactly one gets a free or expired lease. The object stays, marked as free.
"""

import hashlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import ObjectStore

if TYPE_CHECKING:
    from obstore import PutMode

LEASE_SECONDS = 60.0
NOTICE_SECONDS = 30.0
_POLL_SECONDS = 0.5
_FREE = b"free after "
_LOG = logging.getLogger(__name__)
_HELD: set["Lease"] = set()


class LeaseLostError(OSError):
    """A lease was not renewed in time and may be another run's: this run's work is not safe."""


def check_leases() -> None:
    """Raises LeaseLostError if a lease that this process holds may be another's by now.

    Whoever writes asks before each commit; asking costs no request while renewals go well.
    """
    for lease in list(_HELD):
        lease.check()


def holder() -> dict[str, str | int]:
    """What those who wait are told of this process: host, pid and since when it holds."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": now}


def say_waiting(what: str, content: bytes) -> None:
    """Log who holds what we wait for, as far as its `content` tells."""
    try:
        said = json.loads(content)
        who = f"host {said['host']}, process {said['pid']}, since {said['since']}"
    except (ValueError, KeyError, TypeError):
        who = "another run"
    _LOG.warning("waiting for %s, held by %s", what, who)


def _mark(content: bytes) -> str:
    """Names a content of the object without holding its owner, whom only the owner may name."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


class Lease:
    """A lease on the object `path` of a store; from `acquire` to `release` it is ours or lost."""

    def __init__(self, store: ObjectStore, path: str, what: str) -> None:
        """`what` names it to those who wait."""
        self._store, self._path, self._what = store, path, what
        self._owner = str(uuid.uuid4())
        self._said = holder()
        self._renewals = 0
        self._after = ""
        self._etag: str | None = None
        self._confirmed = 0.0
        self._is_lost = False
        self._one_at_a_time = threading.Lock()
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew_until_done, daemon=True)

    def acquire(self) -> None:
        """Wait for it, however long; say every NOTICE_SECONDS who holds it."""
        seen: str | None = None
        since = said = time.monotonic()
        while True:
            found = self._look()
            now = time.monotonic()
            if found is None or found[0] != seen:
                seen, since = (None, now) if found is None else (found[0], now)
            is_free = found is None or found[1].startswith(_FREE) or now - since > LEASE_SECONDS
            if is_free:
                self._said = holder()
                self._after = _mark(found[1]) if found is not None else ""
            if is_free and self._try(seen, since_now=now):
                break
            if not is_free:
                if found is not None and now - said >= NOTICE_SECONDS:
                    say_waiting(self._what, found[1])
                    said = now
                time.sleep(_POLL_SECONDS)
        _HELD.add(self)
        self._renewal.start()

    def check(self) -> None:
        """Raises LeaseLostError if it may be another's; renews it if that was not done in time."""
        if time.monotonic() - self._confirmed > LEASE_SECONDS / 2:
            try:
                self._renew()
            except (BaseError, OSError) as error:
                if not self._is_fresh():
                    raise self._lost() from error
        if self._is_lost:
            raise self._lost()

    def release(self) -> None:
        """Give it back. Raises LeaseLostError if it was not ours to the end."""
        self._done.set()
        self._renewal.join()
        _HELD.discard(self)
        try:
            with self._one_at_a_time:
                given_back = _FREE + self._owner.encode()
                if not self._is_lost and not self._write(given_back):
                    self._is_lost = not self._is_followed(given_back)
        except (BaseError, OSError):
            # It ends by itself; what was written was written while it was ours, if it still is.
            self._is_lost = self._is_lost or not self._is_fresh()
        if self._is_lost:
            raise self._lost()

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(f"{self._what} was taken over while it was held: run again")

    def _is_fresh(self) -> bool:
        """Whether nobody can have seen it stand still for a lease time."""
        return time.monotonic() - self._confirmed < LEASE_SECONDS

    def _renew_until_done(self) -> None:
        while not self._done.wait(LEASE_SECONDS / 6) and not self._is_lost:
            try:
                self._renew()
            except (BaseError, OSError):
                # Tried again; for how long that is good, `check` knows.
                continue

    def _renew(self) -> None:
        with self._one_at_a_time:
            started = time.monotonic()
            if self._is_lost or not self._write(self._content()):
                self._is_lost = True
            else:
                self._confirmed = started

    def _try(self, seen: str | None, since_now: float) -> bool:
        """Take a lease that is free (None: not there) or expired, if it is still as it was seen."""
        self._etag = seen
        is_ours = self._write(self._content())
        if is_ours:
            self._confirmed = since_now
        return is_ours

    def _write(self, content: bytes) -> bool:
        """Replace what we last saw; False if somebody else was there before.

        A put whose answer was lost is repeated below us, and then meets its own result.
        """
        while True:
            mode: PutMode = "create"
            if self._etag is not None:
                mode = {"e_tag": self._etag}
            try:
                self._etag = obstore.put(self._store, self._path, content, mode=mode)["e_tag"]
                return True
            except (AlreadyExistsError, PreconditionError):
                found = self._look()
            if found is None or self._owner.encode() not in found[1]:
                return False
            self._etag = found[0]
            if found[1] == content:
                return True

    def _is_followed(self, given_back: bytes) -> bool:
        """Whether whoever holds it found it given back by us: a put whose answer was lost was then
        repeated too late."""
        found = self._look()
        return found is not None and _mark(given_back).encode() in found[1]

    def _content(self) -> bytes:
        self._renewals += 1
        content = {**self._said, "owner": self._owner, "renewals": self._renewals}
        content["after"] = self._after
        return json.dumps(content).encode()

    def _look(self) -> tuple[str, bytes] | None:
        """The object's tag and content, or None if there is none."""
        try:
            found = obstore.get(self._store, self._path)
            return str(found.meta["e_tag"]), bytes(found.bytes())
        except FileNotFoundError:
            return None
