"""The contents of files as hashes, and what it means that a file cannot be opened.

Belongs here: reading bytes for their hash. Does not: what is in them.
"""

import hashlib
from collections.abc import Iterator

from kpi_platform.storage.landing.landing import Landing

# What one file can be alone in; whatever else goes wrong is the place's fault and fails the hour.
UNOPENABLE = (FileNotFoundError, PermissionError)


class Hashing:
    """Passes a file's bytes on and hashes them on the way; says if the file `is_gone` instead."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.is_gone = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for block in self._blocks:
                self._digest.update(block)
                self.bytes += len(block)
                yield block
        except FileNotFoundError:
            if self.bytes:
                raise
            self.is_gone = True

    def finish(self) -> str:
        """The hash of all bytes, those that nobody asked for included."""
        for _ in self:
            pass
        return self._digest.hexdigest()


def hash_file(landing: Landing, path: str) -> str:
    """The hash of a file's bytes. Raises one of UNOPENABLE."""
    content = Hashing(landing.stream(path))
    found = content.finish()
    if content.is_gone:
        raise FileNotFoundError(path)
    return found
