"""Frames that wait on disk: rows that are found before they can be written.

Belongs here: keeping frames of any number in bounded memory. Does not: what is in them.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import polars as pl

_HELD_ROWS = 1 << 16
_HELD_BYTES = 64 << 20


class Spool:
    """Frames of one schema, given back in order as often as asked; gone with the `with` block.

    Holds about 65,000 rows or 64 MiB in memory, whichever is less, and a frame; the rest lies in
    the system's temporary folder.
    """

    def __init__(self, schema: pl.Schema) -> None:
        self._empty = schema.to_frame()
        self._held = [self._empty]
        self._rows = self._bytes = 0
        self._files: list[Path] = []
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def add(self, frame: pl.DataFrame) -> None:
        """Keep a frame behind those that are here."""
        self._held.append(frame)
        self._rows += frame.height
        self._bytes += int(frame.estimated_size())
        if self._rows >= _HELD_ROWS or self._bytes >= _HELD_BYTES:
            self._files.append(self._write(pl.concat(self._held)))
            self._hold_nothing()

    def frames(self) -> Iterator[pl.DataFrame]:
        """All rows, some at a time; one frame at least."""
        for file in self._files:
            yield pl.read_ipc(file)
        yield pl.concat(self._held)

    def clear(self) -> None:
        """Forget all frames."""
        self._hold_nothing()
        self._files = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _hold_nothing(self) -> None:
        self._held, self._rows, self._bytes = [self._empty], 0, 0

    def _write(self, frame: pl.DataFrame) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="kpi-")
        file = Path(self._folder.name) / f"{len(self._files)}.arrow"
        frame.write_ipc(file, compression="lz4")
        return file
