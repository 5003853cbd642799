"""Which files of an hour have to be read, which stay as they were, and which are gone.

Belongs here: judging one hour's listing by what the ledger knows of it. Does not: listing,
reading, and writing the ledger.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kpi_platform.engine.file_ledger import FileRecord
from kpi_platform.storage.landing.landing import LandingFile


@dataclass(frozen=True)
class Seen:
    """A file that is to be looked into, and its records (one of each source) if it was read
    before. `was`: their common content."""

    file: LandingFile
    known: Sequence[FileRecord] = ()

    @property
    def was(self) -> FileRecord | None:
        """The record that says what it was when last read; None if it never was."""
        return self.known[0] if self.known else None


@dataclass
class HourFiles:
    """An hour's files: `kept` as they were read, `look` to be looked into, `missing` from the
    listing though they hold, `leaving` the tables with their lines, `past` without lines.

    `known`: the ledger's records that this was judged by.
    """

    known: list[FileRecord] = field(default_factory=list)
    kept: list[FileRecord] = field(default_factory=list)
    look: list[Seen] = field(default_factory=list)
    missing: list[FileRecord] = field(default_factory=list)
    leaving: list[FileRecord] = field(default_factory=list)
    past: list[FileRecord] = field(default_factory=list)

    def marks(self, hashed: Mapping[str, str]) -> list[str]:
        """What the hour's input consists of, file by file: equal if there is nothing to do.

        `hashed`: the contents of files that were too young to be told by their looks.
        """
        kept = [f"{file.path}\n{file.identity}" for file in self.kept]
        look = [
            f"{seen.file.path}\n{seen.file.identity}{hashed.get(seen.file.path, '')}"
            for seen in self.look
        ]
        missing = [f"{file.path}\n{file.content_hash}\nmissing" for file in self.missing]
        return sorted({*kept, *look, *missing})


def judge_files(
    listed: Sequence[LandingFile],
    known: Sequence[FileRecord],
    owners: Callable[[str], Mapping[str, str]],
    overwriting: Collection[str],
    *,
    may_go: bool,
) -> HourFiles:
    """Judge the files listed of an hour by the ledger's records of it.

    `owners`: of a path, its sources and under which settings each would read it now.
    `overwriting`: sources of which only the newest listing holds. `may_go`: a file of this hour
    may be gone without a word.
    """
    found = HourFiles(known=list(known))
    by_path: dict[str, list[FileRecord]] = defaultdict(list)
    for record in known:
        if record.is_current:
            by_path[record.path].append(record)
        elif record.holds_lines:
            found.leaving.append(record)
        else:
            found.past.append(record)
    for file in listed:
        records = by_path.pop(file.path, [])
        if _are_as_they_were(records, file, owners(file.path)):
            found.kept += records
        else:
            found.look.append(Seen(file, records))
    delivered = {source for file in listed for source in owners(file.path)}
    for records in by_path.values():
        for record in records:
            _missing(found, record, overwriting, delivered, may_go=may_go)
    return found


def _are_as_they_were(
    records: Sequence[FileRecord], file: LandingFile, owners: Mapping[str, str]
) -> bool:
    return {record.source: record.read_by for record in records} == dict(owners) and all(
        record.identity == file.identity for record in records
    )


def _missing(
    found: HourFiles,
    record: FileRecord,
    overwriting: Collection[str],
    delivered: Collection[str],
    *,
    may_go: bool,
) -> None:
    """Place a file that is not there any more."""
    if record.state == "unreadable":
        # It never held anything.
        return
    if record.source in overwriting and record.source in delivered:
        found.leaving.append(replace(record, state="replaced"))
    elif record.state in ("held", "forgotten"):
        found.missing.append(replace(record, identity="", is_young=False))
    else:
        state = "forgotten" if may_go else "held"
        found.missing.append(replace(record, state=state, identity="", is_young=False))
