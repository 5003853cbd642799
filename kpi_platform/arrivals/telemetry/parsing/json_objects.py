"""Bytes of JSON text -> the same with a line end between objects that follow each other on a line.

Belongs here: where an object ends and the next begins. Does not: what an object must look like.
"""

import re
from collections.abc import Iterable, Iterator

from kpi_platform.arrivals.telemetry.lines import MAX_LINE_BYTES

# In well-formed JSON this stands between two objects and never within a string: what ends a string
# is followed by a blank, a comma, a colon or a closing. So an object that is cut off, or whose
# quotes do not match, costs none after it.
_SURE = re.compile(rb'\}[ \t\r]{0,16}(?=\{[ \t\r]{0,16}"[^\s,:}\]])')
_LIKELY = re.compile(rb"\}[ \t\r]{0,16}(?=\{)")
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
# More than what divides objects takes: of a line that goes on, so much is held back.
_HELD = 64


def split_objects(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Put a line end between objects on one line; all else stays as it is.

    Before an object that is empty, or whose first key begins like the end of a string, only if the
    line up to the next object that is surely one is no longer than `MAX_LINE_BYTES` and its quotes
    match. Holds at most that much and a piece; how the text is cut into pieces does not show.
    """
    held, is_long = b"", False
    for piece in pieces:
        data = held + piece
        end = data.rfind(b"\n") + 1
        if not end and len(data) > MAX_LINE_BYTES + _HELD:
            end = max((match.end() for match in _SURE.finditer(data)), default=0)
        if end:
            yield _split(data[:end], is_long)
            if data[end - 1 : end] != b"\n":
                yield b"\n"
            is_long = False
        held = data[end:]
        if len(held) > MAX_LINE_BYTES + _HELD and not _SURE.search(held):
            yield held[:-_HELD]
            held, is_long = held[-_HELD:], True
    yield _split(held, is_long)


def _split(data: bytes, is_long: bool) -> bytes:
    """Split lines; the first of them may be the end of one that `is_long`."""
    if _LIKELY.search(data) is None:
        return data
    data = _SURE.sub(rb"\g<0>\n", data)
    if _LIKELY.search(data) is None:
        return data
    first, *rest = data.split(b"\n")
    lines = [first if is_long else _split_likely(first), *map(_split_likely, rest)]
    return b"\n".join(lines)


def _split_likely(line: bytes) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        return line
    parts, start, at, is_within = [], 0, 0, False
    for match in _LIKELY.finditer(line):
        quotes = _ESCAPE.sub(b"", line[at : match.start()]).count(b'"')
        is_within ^= quotes % 2 == 1
        at = match.end()
        if not is_within:
            parts.append(line[start:at])
            start = at
    return b"\n".join([*parts, line[start:]])
