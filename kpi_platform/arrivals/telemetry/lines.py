"""Bytes of a text -> blocks of whole lines with their numbers, in bounded memory.

Belongs here: where lines end, and lines too long to keep. Does not: what is in a line.
"""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import polars as pl
from polars.exceptions import ComputeError

BLOCK_BYTES = 16 << 20
# A line costs hundreds of bytes however short it is: a block of short ones ends by their number.
BLOCK_LINES = 1 << 16
MAX_LINE_BYTES = 1 << 20
KEPT_BYTES = 64 << 10
BOM = "\ufeff"
# A line is held up to here before it is known to be too long: with a line end, and marks of byte
# order before it, which do not count.
_LONGEST_HELD = MAX_LINE_BYTES + 64


class Block(NamedTuple):
    """Whole lines, the first of which has `number` (1-based); or the beginning of one line that
    is `too_long` to be held; or the one line that was `cut` by the end of a truncated file."""

    data: bytes
    number: int
    too_long: bool = False
    cut: bool = False


def cut_blocks(pieces: Iterable[bytes], block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Cut a stream of bytes at line ends into blocks of at most about `block_bytes` and
    `BLOCK_LINES` lines.

    The last line may lack its line end; it then is the last block, alone. Holds at most a block,
    a piece and `MAX_LINE_BYTES` at a time.
    """
    number = 1
    held: list[bytes] = []
    size = 0
    skipping = False
    for piece in _bounded(pieces, block_bytes):
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
        for block in _of_few_lines(data, number):
            yield block
            number = block.number + block.data.count(b"\n")
        if len(rest) > _LONGEST_HELD:
            yield Block(rest[:KEPT_BYTES], number, too_long=True)
            number += 1
            skipping, rest = True, b""
        held, size = [rest], len(rest)
    data = b"".join(held)
    end = data.rfind(b"\n") + 1
    yield from _of_few_lines(data[:end], number)
    if end < len(data):
        yield Block(data[end:], number + data.count(b"\n", 0, end))


def _of_few_lines(data: bytes, number: int) -> Iterator[Block]:
    """Whole lines as blocks of at most `BLOCK_LINES`; none if there is no line."""
    lines = data.count(b"\n")
    if lines <= BLOCK_LINES:
        if data:
            yield Block(data, number)
        return
    # Lines differ in length: a half by bytes need not be one by lines, but never is all or nothing.
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1 or data.find(b"\n") + 1
    yield from _of_few_lines(data[:middle], number)
    yield from _of_few_lines(data[middle:], number + data.count(b"\n", 0, middle))


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


def read_lines(blocks: Sequence[Block]) -> pl.DataFrame:
    """Split blocks of lines: `block` (its place in `blocks`), `line_number`, `line` (null if it is
    no UTF-8), `raw` (bytes; only of lines that are no UTF-8). Line ends are removed (a line feed
    and one carriage return before it), and marks of byte order at a line's start.
    """
    # The reader takes text for compressed if its first bytes look so: a line end looks like none.
    data = b"\n" + b"".join(_ended(block.data) for block in blocks)
    try:
        lines = pl.read_lines(data)[1:].with_columns(raw=pl.lit(None, pl.Binary))
    except ComputeError:
        # Some line is no UTF-8.
        lines = _split(data[1:])
    if BOM.encode() in data:
        lines = lines.with_columns(pl.col("line").str.strip_chars_start(BOM))
    return pl.concat([_numbers(blocks), lines], how="horizontal", strict=True)


def _numbers(blocks: Sequence[Block]) -> pl.DataFrame:
    """`block` and `line_number` of each line of the blocks."""
    number = pl.col("number")
    counted = pl.DataFrame(
        {
            "block": range(len(blocks)),
            "number": [block.number for block in blocks],
            "count": [_ended(block.data).count(b"\n") for block in blocks],
        },
        {"block": pl.UInt32, "number": pl.Int64, "count": pl.Int64},
    )
    numbers = counted.select("block", line_number=pl.int_ranges(number, number + pl.col("count")))
    return numbers.explode("line_number", empty_as_null=False)


def _ended(data: bytes) -> bytes:
    return data if data.endswith(b"\n") else data + b"\n"


def _split(data: bytes) -> pl.DataFrame:
    """Lines as `read_lines` splits them, for those of which some are no UTF-8."""
    raw = [part.removesuffix(b"\r") for part in data[:-1].split(b"\n")]
    text = [_text(part) for part in raw]
    odd = [part if line is None else None for part, line in zip(raw, text, strict=True)]
    return pl.DataFrame({"line": text, "raw": odd}, {"line": pl.String, "raw": pl.Binary})


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


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


def _bounded(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) <= limit:
            yield piece
        else:
            yield from (piece[at : at + limit] for at in range(0, len(piece), limit))
