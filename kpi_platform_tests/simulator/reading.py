"""Reads a world's files the plain way, without the platform, to hold them against the truth.

Belongs here: bytes and lines of landing files. Does not: what they should be.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file without header, blank lines and BOM; cut ones included."""
    data = contents(path).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return [line for line in data.split(b"\n") if line and not line.startswith(b"Category\t")]


def contents(path: Path) -> bytes:
    """Return the bytes of a file, decompressed as far as they go."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        return zlib.decompressobj(wbits=31).decompress(raw)
    return zstandard.ZstdDecompressor().decompress(raw) if path.suffix == ".zst" else raw


def is_whole_gzip(path: Path) -> bool:
    """Say whether a gzip file reaches its end."""
    try:
        gzip.decompress(path.read_bytes())
    except EOFError:
        return False
    return True


def landing_files(landing: Path) -> Iterator[Path]:
    """Every file below the landing folder, in order."""
    return iter(sorted(path for path in landing.rglob("*") if path.is_file()))
