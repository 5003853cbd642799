"""Parsed dbt projects that the user's cache keeps, so that a new home need not parse its own.

Belongs here: copying files into the cache and out of it. Does not: what they are, and when they are
right, which their key says.

The cache is a convenience: whatever is wrong with it (no room, no rights, no home folder) means
that it has nothing. It is `kpi_platform` in `XDG_CACHE_HOME`, else in `~/.cache`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

# A project that changes is parsed into a folder of its own each time.
KEPT = 5


def fetch(key: str, files: Sequence[Path]) -> bool:
    """Copy what is kept under `key` to `files`, which have its names. False if not all is there."""
    try:
        folder = _cache() / key
        if not folder.is_dir():
            return False
        for file in files:
            shutil.copyfile(folder / file.name, file)
        os.utime(folder)
    except (OSError, RuntimeError):
        return False
    return True


def keep(key: str, files: Iterable[Path]) -> None:
    """Keep these files under `key`, all of them or none; the projects least used go."""
    with suppress(OSError, RuntimeError):
        cache = _cache()
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Path(tempfile.mkdtemp(prefix="new-", dir=cache))
        try:
            for file in files:
                shutil.copyfile(file, made / file.name)
            # Fails if another process was first.
            made.rename(cache / key)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        _clear(cache)


def _clear(cache: Path) -> None:
    by_use = sorted(cache.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    for folder in by_use[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "").strip()
    base = Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"
    return base / "kpi_platform" / "dbt"
