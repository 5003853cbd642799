"""Locks between runs: one writer at a time for tables that are folded over all hours.

Belongs here: how runs keep out of each other's way. Does not: what they do meanwhile.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from kpi_platform.schemas.texts.hidden_secrets import SafeError
from kpi_platform.storage.lake.leases import (
    NOTICE_SECONDS,
    Lease,
    LeaseLostError,
    holder,
    say_waiting,
)
from kpi_platform.storage.landing.landing import RETRIES, first_line

__all__ = ["CAPTURE_LOCK", "FOLD_LOCK", "LeaseLostError", "LockError", "file_lock", "lake_lock"]

# Held by whoever writes tables that are folded over all hours.
FOLD_LOCK = "fold"
# Held by whoever adds versions of studios' rows, and by whoever decides which of them count.
CAPTURE_LOCK = "capture"


class LockError(SafeError, OSError):
    """A lock cannot be asked for; the message is one line that names the setting."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock file; the system frees it when the process ends, however it ends.

    Who holds it stands in it, for those who wait. Raises LockError if it cannot be made.
    """
    lock = FileLock(str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=NOTICE_SECONDS)
            except Timeout:
                say_waiting(str(path), path.read_bytes())
        path.write_bytes(json.dumps(holder()).encode())
    except OSError as error:
        lock.release()
        why = error.strerror or first_line(error)
        raise LockError(f"{path}: cannot be locked: {why}") from None
    try:
        yield
    finally:
        lock.release()


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
    path = f"_locks/{name}.lease"
    with leased(from_url(lake_uri, retry_config=RETRIES), path, f"{lake_uri}/{path}"):
        yield


@contextmanager
def leased(store: ObjectStore, path: str, what: str) -> Iterator[None]:
    """Hold the lease `path` of a store, which `what` names to those who wait.

    Raises LockError if the store does not answer, LeaseLostError whenever the lease was not ours to
    the end; what the body raises goes before.
    """
    lease = Lease(store, path, what)
    try:
        lease.acquire()
    except (BaseError, OSError) as error:
        raise LockError(f"KPI_LAKE_URI: {what}: {first_line(error)}") from None
    try:
        yield
    except BaseException as error:
        try:
            lease.release()
        except LeaseLostError as lost:
            error.add_note(str(lost))
        raise
    lease.release()
