"""The files below a local folder, with what tells one state of a file from another.

Belongs here: walking folders. Does not: objects in S3, and what is in a file.
"""

import os
from collections.abc import Iterator
from pathlib import Path

# The clock of a file system may stand still for a while: two states of a file may look alike.
YOUNG_NANOSECONDS = 3_000_000_000


def walk_files(root: Path, prefix: str = "") -> Iterator[tuple[str, os.stat_result | None]]:
    """Every file below `root/prefix` as its path below `root` and what the system says of it.

    Links are followed, never in circles. A folder that may not be opened comes without a state, so
    that somebody sees it. Raises OSError for what is no matter of a single name.
    """
    yield from _walk(str(root), prefix, frozenset())


def _walk(
    root: str, below: str, outer: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, os.stat_result | None]]:
    folder = f"{root}/{below}" if below else root
    try:
        own = os.stat(folder)  # noqa: PTH116 (as fast as a thousand files need)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        yield below, None
        return
    inside = outer | {(own.st_dev, own.st_ino)}
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        try:
            found = entry.stat()
            if entry.is_dir():
                if (found.st_dev, found.st_ino) not in inside:
                    yield from _walk(root, path, inside)
            elif entry.is_file():
                yield path, found
        except (FileNotFoundError, PermissionError):
            # Gone meanwhile, or a link to nowhere.
            continue


def local_etag(found: os.stat_result) -> str:
    """What obstore calls a local file's ETag: an earlier release's ledger holds these."""
    return f'"{found.st_ino:x}-{found.st_mtime_ns // 1000:x}-{found.st_size:x}"'
