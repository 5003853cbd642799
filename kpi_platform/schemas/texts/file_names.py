"""What the name of an arriving file says: how it is written, or that it is nobody's data.

Belongs here: endings, and the names that writers give to what is unfinished or no data. Does not:
listing files, and what their bytes say.
"""

import re
from typing import Literal, NamedTuple

Compression = Literal["gz", "zst", "none"]
TextFormat = Literal["tsv", "jsonl"]
Format = Literal["auto", "tsv", "jsonl"]

# What a listing appends to a name that cannot be asked for, and to what may not be looked at.
UNREADABLE_NAME = " (unreadable name)"
NO_ACCESS = " (no access)"
HIDDEN = "hidden"
UNFINISHED = "unfinished"
NO_DATA = "no data"
# Reasons that say nothing is wrong: whoever wrote the file does not mean it to be read (yet).
WRITERS = (HIDDEN, UNFINISHED, NO_DATA)

_ENDING = re.compile(r"(?i)\.(?:(tsv|jsonl|csv)(?:\.(gz|zst))?|(gz|zst))$")
_UNFINISHED = re.compile(
    r"(?i)(?:\.(?:tmp|temp|inprogress|in-progress|pending|part|partial|filepart|crdownload|sw[op])"
    r"|~)$|\.inprogress\.|\._COPYING_$"
)
_NO_DATA = re.compile(
    r"(?i)^lost\+found$|^(?:processing|format-conversion|elasticsearch|amazonopensearch\w*|splunk"
    r"|http-endpoint|iceberg|snowflake)-failed$|^\$folder\$|_\$folder\$$|^thumbs\.db$|^desktop\.ini$"
)
# Of a file, not of a folder: another format than ours, a copy of one, or what accompanies it.
_OTHERS = re.compile(
    r"(?i)\.(?:csv(?:\.(?:gz|zst))?|parquet|avro|orc|arrow|feather|xlsx?|xml|pdf|html?|db|sqlite3?"
    r"|zip|7z|rar|tar|tgz|tar\.(?:gz|zst)|bz2|xz|lz4|lzo|snappy|br|bak|old|orig|crc|md5|sha1|sha256"
    r"|sig|asc|lock)$"
)


class Told(NamedTuple):
    """What a name tells: `compression` and text `format`, each None where it does not."""

    compression: Compression | None
    format: str | None


def told_by_name(path: str) -> Told:
    """Read the ending of a file's name, capitals or not: `.tsv`, `.jsonl` or `.csv`, then `.gz`,
    `.zst` or nothing (`none`); or one of these two alone, which tells no format."""
    match = _ENDING.search(path)
    if match is None:
        return Told(None, None)
    text, packed, alone = (group and group.lower() for group in match.groups())
    compressions: dict[str, Compression] = {"gz": "gz", "zst": "zst"}
    return Told(compressions.get(packed or alone or "", "none"), text)


def writers_reason(path: str) -> str:
    """One of `WRITERS` if the file, or a folder it lies in, has a name that writers give to what
    is not finished or not data (hidden, `.tmp`, `_temporary/`, `_SUCCESS`, ...); else empty."""
    for part in path.removesuffix(NO_ACCESS).split("/"):
        if part.startswith((".", "_")):
            return HIDDEN
        if _UNFINISHED.search(part):
            return UNFINISHED
        if _NO_DATA.search(part):
            return NO_DATA
    return ""


def why_no_telemetry(path: str) -> str:
    """Why a file of this name is not read as telemetry, whatever its hour; empty if it is.

    A name without an ending that we know is read: its first bytes tell what it is.
    """
    if reason := writers_reason(path):
        return reason
    for mark in (UNREADABLE_NAME, NO_ACCESS):
        if path.endswith(mark):
            return mark.strip(" ()")
    return "unknown ending" if _OTHERS.search(path) else ""
