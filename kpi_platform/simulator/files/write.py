"""Lines as files below the landing folder: names, endings, compression and damage of files.

Belongs here: everything about whole files. Does not: which lines there are and what they say.
"""

import gzip
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import zstandard

from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.files.broken import LONG_MARK, NOT_UTF8_MARK
from kpi_platform.simulator.files.file_codes import read_code
from kpi_platform.simulator.files.schedule import Schedule
from kpi_platform.simulator.world import UNLISTED_STUDIO, all_sources

TRUNCATED_STEM = "part-0"
_CUT_CHARACTERS = 8
_HEADER = b"Category\tTimestamp\tServiceName\tSessionId\tTransactionId\tBodyMessage\n"
_LONG = b"x" * 1_100_000


def cut_short(lines: pl.DataFrame, schedule: Schedule) -> pl.DataFrame:
    """Sort lines into files, add `is_truncated`, and drop what truncation cuts off.

    Of the line in which the cut falls the first characters are left: it counts as a line, and
    has too few fields to be used.
    """
    ordered = lines.sort("file", "arrival_ms", "uid", "copy")
    damaged = [
        code
        for code in ordered["file"].unique().to_list()
        if (read_code(code)[:2] in schedule.truncated) and read_code(code).stem == TRUNCATED_STEM
    ]
    is_damaged = pl.col("file").is_in(damaged)
    place, whole = pl.int_range(pl.len()).over("file"), (pl.len() * 2 // 3).over("file")
    left = ordered.filter(is_damaged).filter(place <= whole)
    is_cut = pl.int_range(pl.len()).over("file") == pl.len().over("file") - 1
    left = left.with_columns(
        line=pl.when(is_cut).then(pl.col("line").str.head(_CUT_CHARACTERS)).otherwise("line"),
        reason=pl.when(is_cut).then(pl.lit("wrong_field_count")).otherwise("reason"),
        is_truncated=pl.lit(value=True),
    )
    unhurt = ordered.filter(~is_damaged).with_columns(is_truncated=pl.lit(value=False))
    return pl.concat([unhurt, left])


def write_hours(
    draws: Draws,
    landing: Path,
    lines: pl.DataFrame,
    schedule: Schedule,
    start: datetime,
    hours: range,
) -> int:
    """Write the files of the ingest hours `hours` from `cut_short` lines; return their bytes."""
    written = _write_folders(draws, landing, schedule, start, hours)
    sizes = lines.group_by("file", maintain_order=True).agg(
        pl.len(), pl.col("is_truncated").first()
    )
    place = 0
    for code, size, is_truncated in sizes.iter_rows():
        text = lines["line"].slice(place, size).str.join("\n").item()
        place += size
        file = read_code(code)
        folder = _folder(landing, file.source, start, file.hour)
        folder.mkdir(parents=True, exist_ok=True)
        random = draws.random(f"file {file}")
        name, data = _file(random, file.stem, _bytes(text), is_truncated=is_truncated)
        written += (folder / name).write_bytes(data)
    return written


def _write_folders(
    draws: Draws, landing: Path, schedule: Schedule, start: datetime, hours: range
) -> int:
    """Make the folders of all hours but the missing ones, and the files that cannot be read."""
    written = 0
    for source, _, studio in all_sources():
        for hour in hours:
            folder = _folder(landing, source, start, hour)
            if (source, hour) not in schedule.missing and studio != UNLISTED_STUDIO:
                folder.mkdir(parents=True, exist_ok=True)
            if (source, hour) in schedule.unreadable:
                noise = draws.random(f"unreadable {source} {hour}").randbytes(400)
                written += (folder / "damaged.tsv.gz").write_bytes(b"\x00" + noise)
    return written


def _folder(landing: Path, source: str, start: datetime, hour: int) -> Path:
    return landing / source / (start + timedelta(hours=hour)).strftime("%Y/%m/%d/%H")


def _bytes(text: str) -> bytes:
    data = text.encode()
    if NOT_UTF8_MARK in text:
        data = data.replace(NOT_UTF8_MARK.encode(), b"\xe4\xff")
    if LONG_MARK in text:
        data = data.replace(LONG_MARK.encode(), _LONG)
    return data


def _file(random: Random, stem: str, data: bytes, *, is_truncated: bool) -> tuple[str, bytes]:
    """Return name and contents; `data` is lines joined by line feeds."""
    if is_truncated:
        return f"{stem}.tsv.gz", _half_gzip(data)
    is_json = stem.endswith("-1")
    data = _dressed(random, data, is_json=is_json)
    name = f"{stem}.jsonl" if is_json else f"{stem}.tsv"
    # A line of a megabyte is kept small on disk.
    ending = ".zst" if _LONG in data else random.choice(("", "", ".gz", ".zst"))
    if ending == ".gz":
        data = gzip.compress(data, compresslevel=1, mtime=0)
    elif ending == ".zst":
        data = zstandard.ZstdCompressor(level=1).compress(data)
    return name + ending, data


def _dressed(random: Random, data: bytes, *, is_json: bool) -> bytes:
    """Add what the makers of files add: a last line end, blank lines, a header, CRLF, a BOM."""
    if random.random() < 0.9:
        data += b"\n"
    if random.random() < 0.1:
        data = data.replace(b"\n", b"\n\n", 1)
    if is_json:
        return data
    if random.random() < 0.15:
        data = _HEADER + data
    if random.random() < 0.08:
        data = data.replace(b"\n", b"\r\n")
    return b"\xef\xbb\xbf" + data if random.random() < 0.04 else data


def _half_gzip(data: bytes) -> bytes:
    """Return a gzip stream that yields `data` and then breaks off."""
    packer = zlib.compressobj(level=6, wbits=31)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
