"""Snapshots of Delta tables that are brought up to date instead of read anew.

Belongs here: when a snapshot read before may be used again. Does not: what is read from it.
"""

from collections import defaultdict
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from weakref import finalize

import obstore
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from kpi_platform.storage.lake.delta.delta_tables import PlainTable

# Of one table as many are kept as one reader needs beside one writer; further ones go.
KEPT_OF_A_TABLE = 2


@dataclass(frozen=True)
class _Kept:
    """A snapshot that nobody uses, and which file was the newest commit when it was last lent."""

    snapshot: DeltaTable
    version: int
    commit: str


class Snapshots:
    """The snapshots of the tables of one lake; any thread may ask for one.

    Each is lent to one user at a time and comes back when that user's `DeltaTable`, and every lazy
    frame made of it, is gone. So what a lazy frame reads never moves under it, and a writer's own
    commit is known without being read again. Whatever calls `open`, sees every commit made before:
    the log is asked for newer ones each time. Only the list of files before those is not read anew,
    which for thousands of files is what opening a table costs.
    """

    def __init__(self, open_store: Callable[[str], ObjectStore]) -> None:
        """`open_store` gives the objects below an address."""
        self._open_store = open_store
        self._stores: dict[str, ObjectStore] = {}
        # Taking from and adding to a list is atomic, also where the collector of garbage adds.
        self._idle: defaultdict[str, list[_Kept]] = defaultdict(list)

    def open(self, uri: str) -> DeltaTable:
        """The current snapshot of the table at `uri`.

        Raises TableNotFoundError if there is none, else what deltalake raises.
        """
        snapshot = self._taken_up(uri) or PlainTable(uri)
        version = snapshot.version()
        commit = self._commit(uri, version)
        lent = copy(snapshot)
        if commit is not None:
            kept = _Kept(snapshot, version, commit)
            finalize(lent, _put_back, self._idle[uri], kept)
        return lent

    def _taken_up(self, uri: str) -> DeltaTable | None:
        """One of the kept snapshots, brought up to date; None if there is none that can be."""
        idle = self._idle[uri]
        while idle:
            try:
                kept = idle.pop()
            except IndexError:
                break
            # If the commit is another one, a table was made anew in this place; if it is gone,
            # those after it may be, too.
            if self._commit(uri, kept.version) == kept.commit:
                try:
                    kept.snapshot.update_incremental()
                except (DeltaError, OSError):
                    # Opening it says better what is wrong, if anything is.
                    continue
                return kept.snapshot
        return None

    def _commit(self, uri: str, version: int) -> str | None:
        """What tells the file of a commit from any other that was ever in its place."""
        try:
            store = self._stores.get(uri) or self._open_store(uri)
            meta = obstore.head(store, f"_delta_log/{version:020}.json")
        except (BaseError, OSError):
            return None
        self._stores[uri] = store
        return f"{meta['e_tag']} {meta['last_modified']}"


def _put_back(idle: list[_Kept], kept: _Kept) -> None:
    if len(idle) < KEPT_OF_A_TABLE:
        idle.append(kept)
