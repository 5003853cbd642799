"""The gate: marked lines stay out and are counted once, wherever they come from."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.hour_files import Seen
from kpi_platform.arrivals.telemetry.hour_reading import FilesReading, ToRead
from kpi_platform.arrivals.telemetry.parsing.reasons import Origin
from kpi_platform.engine.admission import NO_MARKS, Marks, admit
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.spool import Spool
from kpi_platform.storage.landing.landing import Landing

HOUR = datetime.fromisoformat("2026-01-01T05:00:00+00:00")
LINES = pl.DataFrame({"who": ["a", "b", None, "a"], "day": [1, 2, 1, 2]})


def test_without_marks_every_line_is_admitted() -> None:
    admitted = admit(LINES, NO_MARKS)
    assert admitted.lines is LINES
    assert (admitted.suppressed.height, admitted.sealed.height) == (0, 0)


def test_a_line_counts_once_as_suppressed_before_sealed() -> None:
    admitted = admit(LINES, Marks(pl.col("who") == "a", pl.col("day") == 1))
    assert admitted.lines["who"].to_list() == ["b"]
    assert (admitted.suppressed.height, admitted.sealed.height) == (2, 1)


@pytest.mark.parametrize("is_packed", [False, True])
def test_lines_of_files_pass_the_gate(tmp_path: Path, is_packed: bool) -> None:
    name = f"game/2026/01/01/05/a.tsv{'.gz' if is_packed else ''}"
    (tmp_path / name).parent.mkdir(parents=True)
    lines = "".join(
        f"T\t2026-01-01T05:00:00.000+0000\tApp\t{session}\t1\t{{'Name': 'A'}}\n"
        for session in ("erased", "kept", "sealed")
    )
    data = (lines + "no line\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if is_packed else data)
    landing = Landing(str(tmp_path))
    (file,) = landing.list_hours("game", [HOUR])[HOUR]
    session = pl.coalesce(pl.col("^title_session_id$"), pl.lit(""))
    marks = Marks(session == "erased", session == "sealed")
    limits = timedelta(days=30), timedelta(hours=24)
    origin = Origin("game", name, HOUR, *limits)
    with Spool(TABLES["quarantined_events"].polars_schema) as spool:
        reading = FilesReading(landing, spool, marks)
        rows = pl.concat(reading.read([ToRead(Seen(file), origin, "now", None, may_go=False)]))
    (record,) = reading.records[HOUR]
    assert rows["title_session_id"].to_list() == ["kept"]
    assert (record.lines, record.suppressed, record.sealed) == (4, 1, 1)
    assert (record.quarantined, record.raw_rows) == (1, 1)
