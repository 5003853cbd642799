"""Bytes of a feed's text file -> its physical lines, each of bounded size, in linear time.

Belongs here: line ends, lines that are too long, UTF-16, what a file cut short leaves behind. Does
not: records and what they mean.
"""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kpi_platform.arrivals.telemetry.decompress import FileRead

LONGEST_LINE = 1 << 20
KEPT_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_MARK = "\ufeff"
# A file that begins so says itself that it is no text of one byte a letter. The first that fits.
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Line(NamedTuple):
    """A physical line without its end; bytes that are no text of the encoding as lone surrogates.

    `reason`: why it is of no use, whatever it says; then `text` is its beginning. `is_cut`: the
    file breaks off in it.
    """

    number: int
    text: str
    reason: str | None = None
    is_cut: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether the line counts as none."""
        return self.reason is None and not self.text.strip().strip(_MARK)


def physical_lines(read: FileRead, encoding: str) -> Iterator[Line]:
    """The lines of a file, blank ones too, numbered from 1."""
    blocks, encoding = _unmarked(iter(read), encoding)
    for number, (data, is_long, is_last) in enumerate(_split(blocks), start=1):
        text = data.decode(encoding, "surrogateescape").removesuffix("\r")
        reason = "line_too_long" if is_long else _reason(text)
        # Whether it is cut is known only now: the file has been read to its end.
        yield Line(number, text, reason, is_cut=is_last and read.is_cut)


def kept_text(text: str) -> str:
    """At most 64 KiB, with bytes that are no text escaped."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return shown.encode()[:KEPT_BYTES].decode("utf-8", "ignore")


def _reason(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not_utf8"
    return None


def _split(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool, bool]]:
    """Lines, whether each is too long (only its beginning is given), and whether it has no end."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        *ends, rest = block.split(b"\n")
        for end in ends:
            yield _joined(parts, end, size), size + len(end) > LONGEST_LINE, False
            parts, size = [], 0
        size += len(rest)
        if size <= LONGEST_LINE:
            parts.append(rest)
        elif parts:
            # What lies behind is counted, not kept.
            parts = [b"".join([*parts, rest])[:KEPT_BYTES]]
        else:
            parts = [rest[:KEPT_BYTES]]
    if size:
        yield b"".join(parts), size > LONGEST_LINE, True


def _joined(parts: list[bytes], end: bytes, size: int) -> bytes:
    if size > LONGEST_LINE:
        return b"".join(parts)
    whole = b"".join([*parts, end])
    return whole if len(whole) <= LONGEST_LINE else whole[:KEPT_BYTES]


def _unmarked(blocks: Iterator[bytes], encoding: str) -> tuple[Iterable[bytes], str]:
    """The blocks behind a byte order mark, and the encoding that they are then in."""
    start = b""
    while len(start) < 4 and (block := next(blocks, None)) is not None:
        start += block
    for mark, name in _WIDE:
        if start.startswith(mark):
            return _as_utf8(start, blocks, name), "utf-8"
    if start.startswith(_BOM):
        return _chained(start.removeprefix(_BOM), blocks), "utf-8"
    return _chained(start, blocks), encoding


def _as_utf8(start: bytes, blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in _chained(start, blocks):
        yield decoder.decode(block).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _chained(start: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from blocks
