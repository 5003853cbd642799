"""What a run notices at studios' tables though it reads them: keys that are none, rows ahead.

Belongs here: counting it while rows are read. Does not: what a check makes of it.
"""

from dataclasses import dataclass, field

import polars as pl

# 8 bytes each: beyond this many rows of one read, keys are compared within their batch only.
_MOST_KEYS = 4_000_000


@dataclass
class KeyWatch:
    """Counts the rows of one read whose key another row of the same read has too."""

    repeated: int = 0
    most: int = _MOST_KEYS
    _kept: list[pl.Series] = field(default_factory=list)
    _in_batches: int = 0
    _keys: int = 0

    def begin(self) -> None:
        """A read begins, perhaps again after it broke off: forget its rows."""
        self._kept, self._in_batches, self._keys = [], 0, 0

    def add(self, keys: pl.Series) -> None:
        """Take the keys of a batch."""
        hashes = keys.hash().unique()
        self._in_batches += keys.len() - hashes.len()
        if self._keys + hashes.len() <= self.most:
            self._kept.append(hashes)
            self._keys += hashes.len()

    def end(self) -> None:
        """The read is over: count what came twice in it."""
        between = self._keys - (pl.concat(self._kept).n_unique() if self._kept else 0)
        self.repeated += self._in_batches + between
        self.begin()


@dataclass
class StudioNotices:
    """Per (source, table) of a run: rows under a key that is another row's too, and rows whose
    watermark lies so far ahead that no window takes them (None: could not be counted)."""

    repeated: dict[tuple[str, str], int] = field(default_factory=dict)
    ahead: dict[tuple[str, str], int | None] = field(default_factory=dict)

    def saw_repeated(self, table: tuple[str, str], rows: int) -> None:
        """Take what one pass over a table found; a second pass finds the same rows."""
        self.repeated[table] = max(rows, self.repeated.get(table, 0))
