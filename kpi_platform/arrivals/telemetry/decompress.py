"""Bytes of a telemetry file -> its text's bytes, in pieces of bounded size, however damaged.

Belongs here: gz and zst, members and frames, files cut short. Does not: lines.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import zstandard

PIECE_BYTES = 1 << 20
# One zst block of 4 bytes may stand for 128 KiB, so that this much becomes at most 128 MiB.
_ZST_INPUT_BYTES = 4 << 10


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

    `truncated`: the data breaks off, or is damaged, after it was recognised. `unreadable`: it
    could not be opened as what its name says; nothing was read.
    """

    def __init__(self, content: Iterable[bytes], file_name: str) -> None:
        self.truncated = False
        self.unreadable = False
        self._opened = False
        self._content = content
        self._new_decoder = _DECODERS.get(file_name.rsplit(".", 1)[-1].lower())

    def __iter__(self) -> Iterator[bytes]:
        if self._new_decoder is None:
            yield from self._content
            return
        try:
            yield from self._decompress(self._new_decoder)
        except (zlib.error, zstandard.ZstdError):
            self.truncated, self.unreadable = self._opened, not self._opened

    def _decompress(self, new_decoder: "type[_Gz] | type[_Zst]") -> Iterator[bytes]:
        decoder: _Decoder | None = None
        for data in self._content:
            while data:
                if decoder is None:
                    # gzip pads members with zeros, which are no member.
                    data = data.lstrip(b"\0") if self._opened else data
                    if not data:
                        break
                    decoder = new_decoder()
                for piece in decoder.pieces(data):
                    self._opened = self._opened or bool(piece)
                    yield piece
                data = b""
                if decoder.eof:
                    self._opened = True
                    data, decoder = decoder.unused_data, None
        self.truncated = decoder is not None or not self._opened


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
            yield self._decoder.decompress(data, PIECE_BYTES)
            data = self._decoder.unconsumed_tail


class _Zst:
    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._behind = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data + self._behind

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZST_INPUT_BYTES):
            if self._decoder.eof:
                self._behind = data[at:]
                return
            yield self._decoder.decompress(data[at : at + _ZST_INPUT_BYTES])


_DECODERS: dict[str, type[_Gz] | type[_Zst]] = {"gz": _Gz, "zst": _Zst}
