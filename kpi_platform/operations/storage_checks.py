"""Whether the storage does what the lake's safety rests on: tried, not asked.

Belongs here: a conditional put really made, the clock beside the storage's, and who holds which
lock. Does not: the tables that lie there.
"""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from filelock import FileLock, Timeout
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import ObjectStore

from kpi_platform.operations.findings import Finding
from kpi_platform.storage.lake.lake_root import open_store
from kpi_platform.storage.lake.leases import LEASE_SECONDS
from kpi_platform.storage.landing.landing import first_line

if TYPE_CHECKING:
    from obstore import PutMode

_FOLDER = "_doctor"
_CLOCKS_APART = timedelta(minutes=5)
# The longest backfills take hours.
_HELD_LONG = timedelta(hours=24)
_FREE = b"free after "


def check_storage(lake_uri: str) -> list[Finding]:
    """Put an object, put it again on condition that it is not there, and delete it.

    The second put has to be refused: two writers of one Delta commit are kept apart by nothing
    else. The time at which the storage says that it was made is held against this clock.
    """
    name = f"{_FOLDER}/{uuid.uuid4().hex}"
    try:
        if "://" not in lake_uri:
            Path(lake_uri).mkdir(parents=True, exist_ok=True)
        store = open_store(lake_uri)
        obstore.put(store, name, b"first", mode="create")
    except (BaseError, OSError, NotImplementedError) as error:
        said = f"{lake_uri}: nothing can be written: {first_line(error)}"
        return [Finding("storage", "wrong", said, "set KPI_LAKE_URI, or its rights")]
    try:
        return [_judged_put(store, name, lake_uri), _judged_clock(store, name)]
    finally:
        obstore.delete(store, name)


def _judged_put(store: ObjectStore, name: str, lake_uri: str) -> Finding:
    if _refuses(store, name) and ("://" not in lake_uri or _refuses_old_tag(store, name)):
        return Finding("storage", "well", f"{lake_uri}: a conditional put is refused, as it must")
    said = f"{lake_uri}: a conditional put overwrote an object: two runs may lose each other's rows"
    return Finding("storage", "wrong", said, "use a storage with conditional puts (If-None-Match)")


def _refuses(store: ObjectStore, name: str, mode: "PutMode" = "create") -> bool:
    try:
        obstore.put(store, name, b"second", mode=mode)
    except (AlreadyExistsError, PreconditionError):
        return True
    return False


def _refuses_old_tag(store: ObjectStore, name: str) -> bool:
    """Whether a change is refused of what was changed since it was looked at: leases rest on it."""
    seen = obstore.head(store, name)["e_tag"]
    obstore.put(store, name, b"third", mode={"e_tag": seen})
    return _refuses(store, name, {"e_tag": seen})


def _judged_clock(store: ObjectStore, name: str) -> Finding:
    made: datetime = obstore.head(store, name)["last_modified"]
    return judge_clock(made, datetime.now(UTC))


def judge_clock(made: datetime, now: datetime) -> Finding:
    """What it means that something made just now is said to be of `made`."""
    apart = abs(now - made)
    said = f"{now:%Y-%m-%d %H:%M:%S} UTC, {apart.total_seconds():,.0f} s from the storage's"
    if apart > _CLOCKS_APART:
        return Finding("clock", "wrong", said, "set this machine's clock (timedatectl set-ntp on)")
    return Finding("clock", "well", said)


def check_locks(lake_uri: str, others: list[Path]) -> list[Finding]:
    """Who holds which lock of the lake, and which of the lock files `others`."""
    held = [*_held_objects(lake_uri), *_held_files(others)]
    return held or [Finding("locks", "well", "nobody holds a lock")]


def judge_lock(what: str, content: bytes, now: datetime) -> Finding:
    """A lock that is held: by whom, as far as its content tells."""
    try:
        told = json.loads(content)
        who = f"host {told['host']}, process {told['pid']}, since {told['since']}"
        age = now - datetime.fromisoformat(str(told["since"]))
    except (ValueError, KeyError, TypeError):
        return Finding("locks", "note", f"{what} is held by another process")
    if age > _HELD_LONG:
        mend = f"look at that process; if it hangs: kill {told['pid']}"
        return Finding("locks", "wrong", f"{what} is held by {who}", mend)
    return Finding("locks", "note", f"{what} is held by {who}")


def _held_objects(lake_uri: str) -> Iterator[Finding]:
    if "://" not in lake_uri:
        yield from _held_files(sorted(Path(lake_uri, "_locks").glob("*.lock")))
        return
    now = datetime.now(UTC)
    store = open_store(lake_uri)
    for found in (each for part in obstore.list(store, "_locks") for each in part):
        content = bytes(obstore.get(store, found["path"]).bytes())
        # A lease that nobody renews is free: whoever wants it takes it.
        is_renewed = now - found["last_modified"] < timedelta(seconds=LEASE_SECONDS)
        if is_renewed and not content.startswith(_FREE):
            yield judge_lock(f"{lake_uri}/{found['path']}", content, now)


def _held_files(paths: list[Path]) -> Iterator[Finding]:
    for path in (path for path in paths if path.is_file()):
        try:
            with FileLock(str(path), timeout=0):
                pass
        except Timeout:
            yield judge_lock(str(path), path.read_bytes(), datetime.now(UTC))
