"""Listing by ourselves: folders, and buckets where a name stops the object store's library.

Belongs here: listing what the library refuses to list or does not tell all of, each object looking
otherwise exactly as that library would show it. Does not: what a name means.
"""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from kpi_platform.schemas.texts.file_names import NO_ACCESS, UNREADABLE_NAME

if TYPE_CHECKING:
    from obstore import ObjectMeta


def walk(root: Path, folder: Path) -> "Iterator[ObjectMeta]":
    """The files below a folder of `root`, links followed; a name that cannot be asked for, and a
    folder or file that may not be looked at, are marked, so that a check shows them.

    A file's `version` is the time of its last change, which no writer can set back as it can the
    time of its contents: the library does not tell it.
    """
    yield from _walk(root, folder, frozenset())


def folders(root: Path) -> list[str]:
    """The folders in `root` whose names can be asked for."""
    names = (entry.name for entry in _entries(root) if _is_folder(entry))
    return [name for name in names if shown(name) == name]


def keys(uri: str, prefix: str) -> "Iterator[ObjectMeta]":
    """The objects below a prefix as S3 itself names them; folder markers are no files."""
    root = _root(uri)
    for page in _pages(uri, root + prefix):
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):
                name = shown(found["Key"].removeprefix(root))
                yield _meta(name, found["LastModified"], found["Size"], found["ETag"])


def key_folders(uri: str) -> list[str]:
    """The first parts of the keys below `uri` that can be asked for."""
    root = _root(uri)
    names = [
        prefix["Prefix"].removeprefix(root).removesuffix("/")
        for page in _pages(uri, root, "/")
        for prefix in page.get("CommonPrefixes", [])
    ]
    return [name for name in names if shown(name) == name]


def shown(name: str) -> str:
    """A file's name; one that cannot be asked for is marked, so that it is listed but not read."""
    if name.isprintable() and not {"", ".", ".."} & set(name.split("/")):
        return name
    return f"{ascii(name)[1:-1]}{UNREADABLE_NAME}"


def _walk(root: Path, folder: Path, above: frozenset[tuple[int, int]]) -> "Iterator[ObjectMeta]":
    try:
        entries = _entries(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        yield _without_access(root, folder)
        return
    # Once for all files of a folder, of which there may be very many.
    below = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    for entry in entries:
        try:
            found = entry.stat()
        except FileNotFoundError:
            # A link to nowhere, or gone since.
            continue
        except OSError:
            yield _without_access(root, folder / entry.name)
            continue
        identity = (found.st_dev, found.st_ino)
        if stat.S_ISDIR(found.st_mode) and identity not in above:
            yield from _walk(root, folder / entry.name, above | {identity})
        elif stat.S_ISREG(found.st_mode):
            changed = found.st_mtime_ns // 1000
            modified = datetime.fromtimestamp(changed // 10**6, UTC).replace(
                microsecond=changed % 10**6
            )
            etag = f'"{found.st_ino:x}-{changed:x}-{found.st_size:x}"'
            changed_last = str(found.st_ctime_ns)
            name = shown(f"{below}{entry.name}")
            yield _meta(name, modified, found.st_size, etag, changed_last)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _without_access(root: Path, path: Path) -> "ObjectMeta":
    return _meta(f"{_name(root, path)}{NO_ACCESS}", datetime.fromtimestamp(0, UTC), 0, "")


def _name(root: Path, path: Path) -> str:
    return shown(path.relative_to(root).as_posix())


def _meta(
    path: str, modified: datetime, size: int, etag: str, version: str | None = None
) -> "ObjectMeta":
    return {
        "path": path,
        "last_modified": modified,
        "size": size,
        "e_tag": etag,
        "version": version,
    }


def _root(uri: str) -> str:
    return f"{urlparse(uri).path.strip('/')}/".lstrip("/")


def _pages(uri: str, prefix: str, delimiter: str = "") -> Iterator[Any]:
    import boto3  # Takes a second, and is hardly ever needed.

    pages = boto3.Session().client("s3").get_paginator("list_objects_v2")
    bucket = urlparse(uri).netloc
    yield from pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter)
