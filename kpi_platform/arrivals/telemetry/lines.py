"""Bytes of a text -> blocks of whole lines with their numbers, in bounded memory.

Belongs here: where lines end, and lines too long to keep. Does not: what is in a line.
"""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import polars as pl
from polars.exceptions import ComputeError

BLOCK_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20
KEPT_BYTES = 64 << 10
_BOM = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """Whole lines, the first of which has `number` (1-based); or the beginning of one line that
    is `too_long` to be held; or the one line that was `cut` by the end of a truncated file."""

    data: bytes
    number: int
    too_long: bool = False
    cut: bool = False


def cut_blocks(pieces: Iterable[bytes], block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Cut a stream of bytes at line ends into blocks of about `block_bytes`.

    The last line may lack its line end; it then is the last block, alone. A byte order mark at
    the start is dropped. Holds at most a block, a piece and `MAX_LINE_BYTES` at a time.
    """
    number = 1
    held: list[bytes] = []
    size = 0
    skipping = False
    for piece in _bounded(_without_bom(pieces), block_bytes):
        if skipping:
            end = piece.find(b"\n") + 1
            if not end:
                continue
            skipping, piece = False, piece[end:]
        held.append(piece)
        size += len(piece)
        if size < block_bytes:
            continue
        data, rest = _whole_lines(held)
        if data:
            yield Block(data, number)
            number += data.count(b"\n")
        if len(rest) > MAX_LINE_BYTES + 1:
            yield Block(rest[:KEPT_BYTES], number, too_long=True)
            number += 1
            skipping, rest = True, b""
        held, size = [rest], len(rest)
    data = b"".join(held)
    end = data.rfind(b"\n") + 1
    if end:
        yield Block(data[:end], number)
    if end < len(data):
        yield Block(data[end:], number + data.count(b"\n", 0, end))


def _whole_lines(held: list[bytes]) -> tuple[bytes, bytes]:
    """Join pieces up to their last line end; the second is what follows it."""
    *before, last = held
    end = last.rfind(b"\n") + 1
    if end:
        # Through a view every byte is copied once.
        return b"".join([*before, memoryview(last)[:end]]), last[end:]
    data = b"".join(held)
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def read_lines(block: Block) -> pl.DataFrame:
    """Split a block: `line_number`, `line` (null if it is no UTF-8), `raw` (bytes; only of lines
    that are no UTF-8), line ends removed: a line feed and one carriage return before it.
    """
    try:
        lines = pl.read_lines(block.data).with_columns(raw=pl.lit(None, pl.Binary))
    except ComputeError:
        # Some line is no UTF-8.
        parts = block.data.removesuffix(b"\n").split(b"\n")
        raw = [part.removesuffix(b"\r") for part in parts]
        text = [_text(part) for part in raw]
        odd = [part if line is None else None for part, line in zip(raw, text, strict=True)]
        lines = pl.DataFrame({"line": text, "raw": odd}, {"line": pl.String, "raw": pl.Binary})
    numbers = pl.int_range(block.number, block.number + pl.len(), dtype=pl.Int64)
    return lines.select(numbers.alias("line_number"), "line", "raw")


def kept_text(raw: bytes) -> str:
    """Return at most `KEPT_BYTES` of a line as text; bytes that are no UTF-8 become `\\xNN`."""
    # The decoder holds back a character that the cut has left incomplete.
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    text = decoder.decode(raw[:KEPT_BYTES], final=len(raw) <= KEPT_BYTES)
    return text.encode()[:KEPT_BYTES].decode("utf-8", "ignore")


def shorten(lines: pl.Series) -> pl.Series:
    """Cut the lines that are longer than `KEPT_BYTES`."""
    rows = (lines.str.len_bytes() > KEPT_BYTES).arg_true()
    texts = [kept_text(line.encode()) for line in lines[rows]]
    return lines.scatter(rows, pl.Series(texts, dtype=pl.String))


def _without_bom(pieces: Iterable[bytes]) -> Iterator[bytes]:
    start: bytes | None = b""
    for piece in pieces:
        if start is None:
            yield piece
            continue
        start += piece
        if len(start) >= len(_BOM):
            yield start.removeprefix(_BOM)
            start = None
    if start:
        yield start


def _bounded(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) <= limit:
            yield piece
        else:
            yield from (piece[at : at + limit] for at in range(0, len(piece), limit))


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
