"""An hour of files as the world writes them: each its own fault, all of them in the books."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
SOURCES = """
studios:
  - key: s
    games:
      - key: g
        sources: [{key: one, telemetry: one}, {key: two, telemetry: two, format: FORMAT}]
"""
LINE = b"T\t2026-01-01T05:00:00Z\tApp\tS\t1\t{'Name': 'A'}\n"


class _Guarded(Landing):
    """A landing zone of which one file may not be read."""

    def stream(self, path: str) -> Iterator[bytes]:
        if path.endswith("forbidden.tsv"):
            raise PermissionError(path)
        yield from super().stream(path)


def _step(tmp_path: Path, format: str = "auto") -> RawStep:
    sources = parse_sources(SOURCES.replace("FORMAT", format), "sources.yaml")
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    lake = Lake(str(tmp_path / "lake"))
    return RawStep(lake, _Guarded(str(tmp_path / "landing")), sources, limits)


def _work(tmp_path: Path, step: RawStep) -> list[tuple[str, int]]:
    lake = Lake(str(tmp_path / "lake"))
    (reports,) = work_through(lake, step, [HOUR], 1 << 30)
    return [(report.status, report.rows) for report in reports]


def _put(tmp_path: Path, path: str, content: bytes) -> None:
    source, name = path.split("/", 1)
    file = tmp_path / "landing" / source / f"{HOUR:%Y/%m/%d/%H}" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_every_file_is_in_the_books_of_its_source_and_none_stops_another(tmp_path: Path) -> None:
    _put(tmp_path, "one/A.TSV", LINE * 2)
    _put(tmp_path, "one/gzip.tsv", gzip.compress(LINE))
    _put(tmp_path, "one/forbidden.tsv", LINE)
    _put(tmp_path, "one/_temporary/0/part-0.tsv", LINE)
    _put(tmp_path, "one/part.tsv.tmp", LINE)
    _put(tmp_path, "two/part-0", gzip.compress(LINE * 3 + b"half")[:-4])
    _put(tmp_path, "two/no.tsv.gz", b"no archive")
    assert _work(tmp_path, _step(tmp_path)) == [("written", 5)]
    lake = Lake(str(tmp_path / "lake"))
    ledger = lake.read_hours("hour_ledger", [HOUR]).sort("source")
    columns = ("source", "files", "lines", "quarantined", "truncated_files", "unreadable_files")
    gzip_lines = gzip.compress(LINE).strip().count(b"\n") + 1
    assert ledger.select(columns).rows() == [
        ("one", 3, 2 + gzip_lines, gzip_lines, 0, 1),
        ("two", 2, 4, 1, 1, 1),
    ]
    bad = lake.read_hours("quarantined_events", [HOUR])
    assert bad.height == gzip_lines + 1
    assert lake.read_hours("raw_telemetry", [HOUR]).height == 5


def test_another_format_of_a_source_reads_its_hours_anew(tmp_path: Path) -> None:
    _put(tmp_path, "two/part-0", LINE)
    assert _work(tmp_path, _step(tmp_path)) == [("written", 1)]
    assert _work(tmp_path, _step(tmp_path)) == [("unchanged", 1)]
    assert _work(tmp_path, _step(tmp_path, "jsonl")) == [("written", 0)]
