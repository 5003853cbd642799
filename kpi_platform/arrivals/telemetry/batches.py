"""Files -> batches of blocks of lines: small files together, a large one in several.

Belongs here: how a file is opened and cut, and what becomes of one that cannot be. Does not: what
is in a line.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from polars.exceptions import PanicException

from kpi_platform.arrivals.telemetry.decompress import FileRead
from kpi_platform.arrivals.telemetry.lines import BLOCK_LINES, BOM, Block, cut_blocks
from kpi_platform.arrivals.telemetry.parsing.json_objects import split_objects
from kpi_platform.arrivals.telemetry.parsing.reasons import Origin
from kpi_platform.schemas.texts.file_names import Format, told_by_name

# Before a text's first character; more of it than this tells nothing.
_BLANKS = b" \t\r\n\x0b\x0c"
_SNIFFED_BYTES = 1 << 16
_BOM = BOM.encode()


class TelemetryFile(NamedTuple):
    """A file to be read: where it comes from, and its bytes in pieces, to be iterated once.

    To ask for them may raise PermissionError: this file cannot be read (on). What else it raises
    is no single file's fault and ends the reading of all.
    """

    origin: Origin
    content: Iterable[bytes]


class FileEnd(NamedTuple):
    """How the reading of a file ended; `error` says what else than its bytes is the reason."""

    truncated: bool = False
    unreadable: bool = False
    error: str = ""


class Piece(NamedTuple):
    """A block of a file: `file` is its place among the batch's files."""

    file: int
    block: Block
    is_json: bool


@dataclass
class Batch:
    """Blocks that are parsed together, of neighbouring files.

    `files`: place of each among all that are read, and its origin. `ends`: of those files, by
    place, whose last block is here.
    """

    files: list[tuple[int, Origin]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    ends: dict[int, FileEnd] = field(default_factory=dict)
    bytes: int = 0
    lines: int = 0

    def add(self, place: int, origin: Origin, block: Block | None, is_json: bool) -> None:
        """Add a block of a file, or none of one without lines."""
        if not self.files or self.files[-1][0] != place:
            self.files.append((place, origin))
        if block is not None:
            self.pieces.append(Piece(len(self.files) - 1, block, is_json))
            self.bytes += len(block.data)
            self.lines += block.data.count(b"\n") + 1

    def is_full(self, block_bytes: int) -> bool:
        """Whether it is as large as one is to be."""
        return self.bytes >= block_bytes or max(self.lines, len(self.files)) >= BLOCK_LINES


def gather(files: Iterable[TelemetryFile], block_bytes: int) -> Iterator[Batch]:
    """Read files into batches of about `block_bytes` and at most twice `BLOCK_LINES` lines.

    Every file is in at least one batch and ends in its last. A file that raises whatever it may
    while it is read is unreadable, or truncated if something of it was read. Holds about two
    blocks and a batch at a time.
    """
    batch = Batch()
    for place, (origin, content) in enumerate(files):
        file = _OpenFile(origin, content)
        for block in file.blocks(block_bytes):
            batch.add(place, origin, block, file.is_json)
            if batch.is_full(block_bytes):
                yield batch
                batch = Batch()
        batch.add(place, origin, None, file.is_json)
        batch.ends[place] = file.end
    if batch.files:
        yield batch


class _OpenFile:
    """One file while it is read."""

    def __init__(self, origin: Origin, content: Iterable[bytes]) -> None:
        self.is_json = False
        self.end = FileEnd()
        self._origin = origin
        self._content = _Watched(content)

    def blocks(self, block_bytes: int) -> Iterator[Block]:
        """The file's blocks; then `end` is known, and all its bytes have been asked for."""
        read = FileRead(self._content, self._origin.file_name)
        last: Block | None = None
        error = ""
        try:
            for block in cut_blocks(self._text(read), block_bytes):
                if last is not None:
                    yield last
                last = block
            for _ in self._content:
                # Whoever hashes the bytes on their way wants those behind damaged data too.
                pass
        except (Exception, PanicException) as raised:
            if raised is self._content.failure or isinstance(raised, MemoryError):
                raise
            error = _told(raised)
        error = error or self._content.refusal
        if last is not None:
            is_broken = bool(error) or read.is_cut
            is_cut = is_broken and not last.too_long and not last.data.endswith(b"\n")
            yield last._replace(cut=is_cut)
        has_failed = bool(error) and last is None
        self.end = FileEnd(
            truncated=not has_failed and (bool(error) or read.truncated),
            unreadable=has_failed or read.unreadable,
            error=error,
        )

    def _text(self, read: FileRead) -> Iterator[bytes]:
        pieces = iter(read)
        told = told_by_name(self._origin.file_name).format or self._origin.format
        start, self.is_json = _sniff(pieces, told)
        text = chain(start, pieces)
        return split_objects(text) if self.is_json else text


class _Watched:
    """Bytes on their way, which end where the file is refused: `refusal` says so. `failure` is
    what else they raised."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)
        self.failure: BaseException | None = None
        self.refusal = ""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._content)
        except StopIteration:
            raise
        except PermissionError as error:
            self.refusal = _told(error)
            raise StopIteration from None
        except Exception as error:
            self.failure = error
            raise


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _sniff(pieces: Iterator[bytes], told: str | Format) -> tuple[list[bytes], bool]:
    """Whether a text is JSON: as told, or, if `auto`, by its first character; and the pieces that
    were read to know."""
    start: list[bytes] = []
    if told != "auto":
        return start, told == "jsonl"
    text = b""
    for piece in pieces:
        start.append(piece)
        text = (text + piece).removeprefix(_BOM).lstrip(_BLANKS)
        if not _BOM.startswith(text) or sum(map(len, start)) > _SNIFFED_BYTES:
            break
    return start, text.startswith(b"{")
