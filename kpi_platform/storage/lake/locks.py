"""Locks between runs: one writer at a time for tables that are folded over all hours.

Belongs here: how runs keep out of each other's way. Does not: what they do meanwhile.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from filelock import FileLock
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url

from kpi_platform.storage.landing.landing import RETRIES

# Held by whoever writes tables that are folded over all hours.
FOLD_LOCK = "fold"
LEASE_SECONDS = 60.0
# Held by whoever adds versions of studios' rows, and by whoever decides which of them count.
CAPTURE_LOCK = "capture"
_POLL_SECONDS = 0.5


class LeaseLostError(OSError):
    """A lease was not renewed in time and another run took it: this run's work is not safe."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock file; the system frees it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path)):
        yield


def warehouse_lock(path: Path) -> Path:
    """The lock file of the embedded warehouse: whoever opens the database holds it."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def lake_lock(lake_uri: str, name: str) -> Iterator[None]:
    """Hold the lock `name` of a lake: a lock file in a folder, a leased object in S3."""
    if "://" not in lake_uri:
        with file_lock(Path(lake_uri) / "_locks" / f"{name}.lock"):
            yield
        return
    with _lease(from_url(lake_uri, retry_config=RETRIES), f"_locks/{name}.lease"):
        yield


@contextmanager
def _lease(store: ObjectStore, path: str) -> Iterator[None]:
    """A lease kept alive by a thread; one not renewed in time belongs to a dead run and is taken.

    Created with a conditional put, so that of two runs exactly one gets it.
    """
    owner = f"{uuid.uuid4()} {os.getpid()}".encode()
    while not _try_create(store, path, owner):
        _remove_expired(store, path)
        time.sleep(_POLL_SECONDS)
    done, lost = threading.Event(), threading.Event()
    renewal = threading.Thread(target=_renew, args=(store, path, owner, done, lost), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        done.set()
        renewal.join()
        if not lost.is_set() and _is_ours(store, path, owner):
            obstore.delete(store, path)
    if lost.is_set():
        raise LeaseLostError(f"the lease {path} was taken over while it was held: run again")


def _try_create(store: ObjectStore, path: str, owner: bytes) -> bool:
    try:
        obstore.put(store, path, owner, mode="create")
    except AlreadyExistsError:
        return False
    return True


def _remove_expired(store: ObjectStore, path: str) -> None:
    """Remove a lease whose object was not renewed while we watched for a whole lease time."""
    seen = _etag(store, path)
    deadline = time.monotonic() + LEASE_SECONDS
    while seen is not None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        now = _etag(store, path)
        if now != seen:
            return
    if seen is not None:
        obstore.delete(store, path)


def _etag(store: ObjectStore, path: str) -> str | None:
    try:
        meta = obstore.head(store, path)
    except FileNotFoundError:
        return None
    return f"{meta['e_tag']} {meta['last_modified']}"


def _renew(
    store: ObjectStore, path: str, owner: bytes, done: threading.Event, lost: threading.Event
) -> None:
    """Renew until done; a failed attempt is repeated, a lease that somebody took is left alone."""
    renewals = 0
    while not done.wait(LEASE_SECONDS / 6):
        renewals += 1
        try:
            if not _is_ours(store, path, owner):
                lost.set()
                return
            obstore.put(store, path, owner + f" {renewals}".encode())
        except (BaseError, OSError):
            continue


def _is_ours(store: ObjectStore, path: str, owner: bytes) -> bool:
    try:
        return bytes(obstore.get(store, path).bytes()).startswith(owner)
    except FileNotFoundError:
        return False
