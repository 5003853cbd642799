"""Which sources have said that an hour of theirs is whole: a `_SUCCESS` in the hour's folder.

Belongs here: who says it. Does not: what follows (schemas/hours/completeness.py). Only sources that
deliver while the hour lasts are asked: of the others a file alone says so.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.landing.landing import LandingFile

SUCCESS = "_SUCCESS"
# Behind the fingerprint of a source's files: that it closed its hour is something new.
CLOSED_MARK = "+closed"


def closed_sources(files: Iterable[LandingFile], sources: Sources) -> set[str]:
    """The telemetry sources with `delivery: running` that closed the hour of these files."""
    running = sources.running()
    if not running:
        return set()
    closed = {
        sources.source_of_folder(file.folder)
        for file in files
        if PurePosixPath(file.path).name == SUCCESS
    }
    return closed & running
