"""Frames that wait on disk come back in order, as often as asked, and leave nothing behind."""

from pathlib import Path

import polars as pl
import pytest

from kpi_platform.storage.lake.spool import Spool

SCHEMA = pl.Schema({"n": pl.Int64, "text": pl.String})


def _frame(first: int, rows: int) -> pl.DataFrame:
    numbers = range(first, first + rows)
    return pl.DataFrame({"n": numbers, "text": [f"{n}" for n in numbers]}, SCHEMA)


def test_frames_come_back_in_order_and_the_folder_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Spool(SCHEMA) as spool:
        for first in range(0, 200_000, 40_000):
            spool.add(_frame(first, 40_000))
        assert list(tmp_path.rglob("*.arrow"))
        for _ in range(2):
            assert pl.concat(spool.frames()).equals(_frame(0, 200_000))
        spool.clear()
        spool.add(_frame(7, 1))
        assert pl.concat(spool.frames()).equals(_frame(7, 1))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_an_empty_frame_and_wide_rows_wait_on_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Spool(SCHEMA) as spool:
        assert [frame.shape for frame in spool.frames()] == [(0, 2)]
        spool.add(pl.DataFrame({"n": [1, 2], "text": ["x" * (40 << 20)] * 2}, SCHEMA))
        assert list(tmp_path.rglob("*.arrow"))
        assert pl.concat(spool.frames()).height == 2
