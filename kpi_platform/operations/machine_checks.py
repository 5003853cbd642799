"""What the machine gives: room on its disks, open files, rights.

Belongs here: judging what the operating system says. Does not: storage that is not a folder here.
"""

import os
import resource
import tempfile
from collections.abc import Iterable
from pathlib import Path

from kpi_platform.operations.findings import Finding

# Under both a run may stop in the middle: a merge needs room for what it rewrites.
_LEAST_BYTES, _LEAST_SHARE = 5 * 10**9, 0.05
_LEAST_INODES_SHARE = 0.05
# An hour of 1,000 files, the tables and dbt have a few hundred open at once.
_LEAST_OPEN_FILES = 1024


def check_disks(folders: Iterable[Path]) -> list[Finding]:
    """Room and inodes of the file systems that these folders, and TMPDIR, lie on."""
    found, seen = [], set()
    for folder in [*folders, Path(tempfile.gettempdir())]:
        there = _existing(folder)
        device = there.stat().st_dev
        if device not in seen:
            seen.add(device)
            found.append(judge_disk(there, os.statvfs(there)))
    return found


def judge_disk(folder: Path, disk: os.statvfs_result) -> Finding:
    """What the figures of a file system mean. Some have no inodes to run out of."""
    free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    said = f"{folder}: {free / 1e9:,.1f} of {whole / 1e9:,.1f} GB free, {inodes:.0%} of the inodes"
    mend = "kpi maintain; docs/operations.md, When the disk is full"
    if free < _LEAST_BYTES and free < whole * _LEAST_SHARE:
        return Finding("disk", "wrong", said, mend)
    if inodes < _LEAST_INODES_SHARE:
        return Finding("disk", "wrong", f"{said}: it runs out of files", mend)
    return Finding("disk", "well", said)


def check_open_files() -> list[Finding]:
    """How many files a process may have open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [judge_open_files(soft, hard)]


def judge_open_files(soft: int, hard: int) -> Finding:
    """What the limits mean; a limit below none (-1) is unlimited."""
    said = f"{'any number of' if soft < 0 else f'{soft:,}'} files may be open at once"
    if 0 <= soft < _LEAST_OPEN_FILES:
        wanted = _LEAST_OPEN_FILES if hard < 0 else min(hard, _LEAST_OPEN_FILES)
        return Finding("open files", "wrong", said, f"ulimit -n {wanted}")
    return Finding("open files", "well", said)


def check_rights(home: Path) -> list[Finding]:
    """Whether the home can be written, and whether others can read what lies in it."""
    if not home.exists():
        return [Finding("rights", "note", f"{home} is not there yet: the first run makes it")]
    if not os.access(home, os.W_OK | os.X_OK):
        mend = f"chown -R $USER {home}"
        return [Finding("rights", "wrong", f"{home}: this user may not write there", mend)]
    others = home.stat().st_mode & 0o007
    if others:
        said = f"{home}: every user of this machine can look into it, and it holds player ids"
        return [Finding("rights", "note", said, f"chmod o-rwx {home}")]
    return [Finding("rights", "well", f"{home} is this user's, and closed to others")]


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return there
