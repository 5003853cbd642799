"""Which state a table is in, so that a table put back from a backup is told from one that went on.

Belongs here: states of tables of which one writer knows what it wrote last. Does not: where that
writer keeps them, and what it does about another state.

A state is named by its data files: a table that was put back reaches the same version numbers
again with other files, and its clock says nothing.
"""

import hashlib
from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

# What upkeep does: the files are others, the rows the same.
_KEEPS_ROWS = {"OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES"}


@dataclass(frozen=True)
class TableState:
    """A version of a table, and a hash of the names of its data files."""

    version: int
    files: str


def state_of(uri: str) -> TableState | None:
    """The state of the table at `uri` now; None if there is none."""
    try:
        return _state(DeltaTable(uri))
    except TableNotFoundError:
        return None


def is_same_but_for_upkeep(uri: str, known: TableState, now: TableState) -> bool:
    """Whether the table holds the rows that it held in the state `known`: nothing was done to it
    since but upkeep. False too if its log no longer tells."""
    if now.files == known.files:
        return True
    if now.version <= known.version:
        return False
    try:
        if _state(DeltaTable(uri, version=known.version)) != known:
            return False
        commits = DeltaTable(uri).history(now.version - known.version)
    except (DeltaError, OSError):
        return False
    return all(commit.get("operation") in _KEEPS_ROWS for commit in commits)


def _state(table: DeltaTable) -> TableState:
    # As the log names them, below the table: a lake that was moved is the same.
    paths = sorted(map(str, table.get_add_actions().column("path").to_pylist()))
    digest = hashlib.blake2b("\n".join(paths).encode(), digest_size=16).hexdigest()
    return TableState(table.version(), digest)
