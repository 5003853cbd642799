"""Bytes of an arriving file -> its text's bytes, in pieces of bounded size, however damaged.

Belongs here: how a file is compressed (decided once, for the whole file), members and frames,
files cut short. Does not: lines.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import zstandard

from kpi_platform.arrivals.telemetry import zst_frames
from kpi_platform.schemas.texts.file_names import Compression, told_by_name

PIECE_BYTES = 1 << 20
_GZ_MAGIC = b"\x1f\x8b"
# gzip pads members with zeros; writers that end every record by a line feed pad them with that.
_PADDING = b"\0 \t\r\n"
# What lies behind a member is copied with each, and a file may have a member for every line.
_INPUT_BYTES = 64 << 10
# So much becomes at most 1 MiB.
_SALVAGED_AT_A_TIME = 1 << 10


class _Decoder(Protocol):
    """What decompression objects of gz and zst have in common: one member or frame."""

    @property
    def eof(self) -> bool:
        """Whether the end of the member or frame has been read."""

    @property
    def unused_data(self) -> bytes:
        """The bytes read that lie behind that end."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` decompresses to, in pieces of bounded size; raises the library's error."""


class FileRead:
    """The decompressed bytes of a file, to be iterated once; then says how reading ended.

    `truncated`: the data breaks off or is damaged after it was recognised, or something else lies
    behind it. `is_cut`: the text may break off within a line. `unreadable`: it could not be opened
    as what its name says, or as what its first bytes say if the name does not; nothing was read.
    A file without a byte is empty, whatever its name.
    """

    def __init__(self, content: Iterable[bytes], file_name: str) -> None:
        self.truncated = False
        self.is_cut = False
        self.unreadable = False
        self._opened = False
        self._ends_line = True
        self._content = iter(content)
        self._compression = told_by_name(file_name).compression

    def __iter__(self) -> Iterator[bytes]:
        compression = self._compression or self._sniff()
        if compression == "none":
            yield from self._content
            return
        try:
            yield from self._decompress(compression)
        except (zlib.error, zstandard.ZstdError):
            self.truncated = self.is_cut = self._opened
            self.unreadable = not self._opened

    def _sniff(self) -> Compression:
        """What the first bytes say; they are put back."""
        start = b""
        for data in self._content:
            start += data
            if len(start) >= len(zst_frames.MAGIC):
                break
        self._content = _chained(start, self._content)
        if start.startswith(_GZ_MAGIC):
            return "gz"
        return "zst" if start.startswith(zst_frames.MAGIC) else "none"

    def _decompress(self, compression: Compression) -> Iterator[bytes]:
        is_start = _is_gz_start if compression == "gz" else zst_frames.is_start
        decoder: _Decoder | None = None
        rest = b""
        for data in _sliced(self._content):
            rest += data
            while rest:
                if decoder is None:
                    if self._opened:
                        rest, text = self._between(rest)
                        yield from text
                    if not is_start(rest):
                        self.truncated, self.unreadable = self._opened, not self._opened
                        return
                    if len(rest) < len(zst_frames.MAGIC):
                        break
                    decoder = _Gz() if compression == "gz" else zst_frames.ZstFrame()
                yield from self._pieces(decoder, rest)
                rest = b""
                if decoder.eof:
                    self._opened = True
                    rest, decoder = decoder.unused_data, None
        self.truncated = self.is_cut = decoder is not None or bool(rest)

    def _pieces(self, decoder: _Decoder, data: bytes) -> Iterator[bytes]:
        for piece in decoder.pieces(data):
            if piece:
                self._opened = True
                self._ends_line = piece.endswith(b"\n")
                yield piece

    def _between(self, data: bytes) -> tuple[bytes, list[bytes]]:
        """What follows the padding behind a member, and the text that the padding stands for: a
        line end, where members are joined by one and the text before them has none."""
        rest = data.lstrip(_PADDING)
        ends = not self._ends_line and b"\n" in data[: len(data) - len(rest)]
        self._ends_line = self._ends_line or ends
        return rest, [b"\n"] if ends else []


class _Gz:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data and not self._decoder.eof:
            before = self._decoder.copy()
            try:
                piece = self._decoder.decompress(data, PIECE_BYTES)
            except zlib.error:
                # The library drops what it had decoded before it met the damage.
                yield from _salvaged(before, data)
                raise
            yield piece
            data = self._decoder.unconsumed_tail


def _salvaged(decoder: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What `data` decompresses to before the byte that shows that it is damaged."""
    at, size = 0, _SALVAGED_AT_A_TIME
    while size and at < len(data):
        before = decoder.copy()
        try:
            yield decoder.decompress(data[at : at + size])
            at += size
        except zlib.error:
            decoder, size = before, size // 2


def _is_gz_start(data: bytes) -> bool:
    return data[:2] == _GZ_MAGIC[: len(data)]


def _chained(start: bytes, content: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from content


def _sliced(content: Iterable[bytes]) -> Iterator[bytes]:
    for data in content:
        yield from (data[at : at + _INPUT_BYTES] for at in range(0, len(data), _INPUT_BYTES))
