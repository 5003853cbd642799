"""Open incidents stand in the page's data and first among what the report calls attention to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from kpi_platform.alerts.incident_rows import frame_of
from kpi_platform.alerts.incidents import Look, fold
from kpi_platform.published.pages.open_incidents import incident_lines, incidents_block, only_open
from kpi_platform.published.pages.report import make_report
from kpi_platform.schemas.findings import Finding
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.published.pages.page_world import inputs as page_inputs

AT = datetime(2026, 3, 10, tzinfo=UTC)


def rows(count: int) -> pl.DataFrame:
    findings = [
        Finding("source_silent", "hour_ledger", "silent <b>", "", f"<!channel> {n}")
        for n in range(count)
    ]
    failed = Finding("hour_failed", "hour_ledger", "broken", severity="error")
    opened = fold([], [Look((*findings, failed))], AT)
    closed = replace(opened[0], resolved_at=AT + timedelta(hours=1), closed_by="ack")
    return frame_of([closed, *opened[1:]], {})


def test_errors_come_first_and_closed_ones_not_at_all() -> None:
    shown = only_open(rows(3).lazy()).collect()
    first, *others = [each["title"] for each in incidents_block(shown)]
    assert first == "An hour failed: hour_ledger"
    # The first of the silent ones was closed.
    silent = [
        f"A source fell silent, or sends less than usual: <!channel> {n}, hour_ledger"
        for n in (1, 2)
    ]
    assert sorted(others) == silent


def test_a_report_names_them_first_and_says_how_many_more() -> None:
    lines = incident_lines(only_open(rows(20).lazy()).collect())
    assert (len(lines), lines[-1]) == (9, "12 more incidents are open")
    inputs = replace(page_inputs(), incidents=only_open(rows(2).lazy()).collect())
    report = make_report(inputs, Sources(), read_manifest())
    assert report.figures.attention[0].startswith("An hour failed: hour_ledger (since 2026-03-10")
    for text in (report.html, report.slack):
        assert "<!channel>" not in text and "&lt;!channel&gt; 1" in text
