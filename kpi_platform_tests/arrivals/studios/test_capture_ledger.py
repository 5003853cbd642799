"""An hour in which a source failed is right again when it was read, and not before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from kpi_platform.arrivals.studios.capture_ledger import CaptureLedger
from kpi_platform.arrivals.studios.capture_plan import CapturedSource, captured_sources
from kpi_platform.engine.books.hour_ledger import read_ledger
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.lake.lake import Lake

START = datetime(2026, 3, 1, tzinfo=UTC)
FAILED, LATER = START + timedelta(hours=1), START + timedelta(hours=6)


def _plan(more: str = "") -> list[CapturedSource]:
    text = f"""
studios:
  - key: s
    warehouse: {{kind: duckdb, path: w.duckdb}}
    games:
      - key: g
        sources:
          - key: wh
            schema: g
            {more}
            tables:
              - {{table: t, key: id, watermark: at, event: SessionStart, event_at: at}}
"""
    return captured_sources(parse_sources(text, "sources.yaml"), START)


def _error(lake: Lake) -> str | None:
    [error] = read_ledger(lake, [FAILED], "warehouse")["source_error"].to_list()
    return None if error is None else str(error)


def test_a_source_that_nobody_asked_is_not_mended(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    ledger = CaptureLedger(lake)
    assert ledger.write(_plan(), [FAILED], {"wh"}, {"wh": "down"}) == set()
    # It has ended since: runs of later hours read nothing of it.
    ended = _plan("until: 2026-03-01T03:00:00Z")
    for hours in ([LATER], [FAILED, LATER]):
        assert not ledger.would_mend(ended, hours, set(), {})
        assert ledger.write(ended, hours, set(), {}) == set()
        assert _error(lake) == "down"
    assert ledger.would_mend(ended, [FAILED], {"wh"}, {})
    assert ledger.write(ended, [FAILED], {"wh"}, {}) == {FAILED}
    assert _error(lake) is None


def test_an_hour_that_a_source_does_not_have_any_more_need_not_be_read(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    ledger = CaptureLedger(lake)
    ledger.write(_plan(), [FAILED], {"wh"}, {"wh": "down"})
    ended = _plan("until: 2026-03-01T01:00:00Z")
    assert ledger.write(ended, [LATER], set(), {}) == {FAILED}
    assert _error(lake) is None
