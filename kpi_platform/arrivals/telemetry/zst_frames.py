"""Frames of zst files, read block by block.

Belongs here: where a frame's blocks begin and end. Does not: several frames, and what follows.

A block stands for at most 128 KiB, however small it is. Given one at a time, the library's decoder
returns all that lies before damaged data, and never more than that at once.
"""

from collections.abc import Generator, Iterator

import zstandard

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_SKIPPED_AT_A_TIME = 1 << 17
_RLE = 1


class ZstFrame:
    """Decoder of one frame; of a skippable frame, which holds no text, too."""

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._parts = _parts()
        self._wanted = next(self._parts)
        self._held = b""
        self._is_text: bool | None = None
        self.eof = False

    @property
    def unused_data(self) -> bytes:
        """The bytes read that lie behind the frame's end."""
        return self._held if self.eof else b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` decompresses to, block by block; raises ZstdError."""
        data, at = self._held + data, 0
        while not self.eof and at + self._wanted <= len(data):
            part = data[at : at + self._wanted]
            at += len(part)
            if self._is_text is None:
                self._is_text = part[1:4] != _SKIPPABLE
            try:
                self._wanted = self._parts.send(part)
            except StopIteration:
                self.eof = True
            yield self._decoder.decompress(part) if self._is_text else b""
        self._held = data[at:]


def is_start(data: bytes) -> bool:
    """Whether data that follows a frame begins another, as far as it goes."""
    head = data[:4]
    if MAGIC.startswith(head) or not head:
        return True
    return 0x50 <= head[0] <= 0x5F and _SKIPPABLE.startswith(head[1:])


def _parts() -> Generator[int, bytes, None]:
    """The parts of a frame: yields how many bytes the next one has, and is sent them."""
    head = yield 5
    if head[1:4] == _SKIPPABLE:
        left = int.from_bytes(head[4:] + (yield 3), "little")
        while left:
            left -= len((yield min(left, _SKIPPED_AT_A_TIME)))
        return
    flags = head[4]
    is_single = flags >> 5 & 1
    yield (1 - is_single) + (0, 1, 2, 4)[flags & 3] + (is_single, 2, 4, 8)[flags >> 6]
    is_last = False
    while not is_last:
        header = int.from_bytes((yield 3), "little")
        is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        stored = 1 if kind == _RLE else size
        if stored:
            yield stored
    if flags & 4:
        yield 4
