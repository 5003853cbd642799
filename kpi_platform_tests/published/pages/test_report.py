"""The daily report tells of the newest complete day, in three forms that names cannot break."""

import html
import struct
from datetime import UTC, date, datetime

import polars as pl
import pytest

from kpi_platform.published.pages.report import Report, make_report
from kpi_platform.published.pages.report_figures import report_figures
from kpi_platform.published.pages.report_words import SLACK_LIMIT, report_slack, slack_escaped
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.published.pages.page_world import GRAINS, HOSTILE, daily, inputs, sources


@pytest.fixture(scope="module")
def report() -> Report:
    """The report of the small world, one of whose studios has a hostile name."""
    grains = [*GRAINS, (HOSTILE, "all")]
    return make_report(inputs(kpi_daily=daily(grains=grains)), sources(), read_manifest())


def test_the_newest_complete_day_is_told_of(report: Report) -> None:
    assert report.figures.day == date(2026, 2, 8)
    (dau,) = [f for f in report.figures.portfolio if f.kpi.short == "DAU"]
    assert (dau.value, dau.day_before, dau.week_before) == (138, 137, 131)
    assert "Sunday, 8 February 2026: 138 active players (+5.3 % on the week before)" in report.text


def test_the_report_has_the_kpis_whose_definitions_say_so(report: Report) -> None:
    assert [f.kpi.kpi for f in report.figures.portfolio][:3] == ["dau", "mau", "new_players"]
    assert [s.kpi.kpi for s in report.figures.series] == ["dau", "revenue_usd"]


def test_provisional_days_are_in_the_charts_only(report: Report) -> None:
    days = report.figures.series[0].days
    assert [is_provisional for _, _, is_provisional in days] == [False] * 28 + [True]


def test_what_failed_or_is_silent_needs_attention() -> None:
    ledger = pl.DataFrame(
        {
            "p_ingest_date_utc": [date(2026, 1, 2)] * 3,
            "source": ["a", "b", "b"],
            "status": ["failed", "processed", "processed"],
            "lines": [5, 0, 0],
        }
    )
    found = report_figures({}, ledger, None, {}, ()).attention
    assert found == ("a: 1 hour of 2026-01-02 failed", "b: no data on 2026-01-02")


def test_what_a_studio_never_tells_is_no_figure() -> None:
    rows = [("crash_free_sessions", "kumo", "all", "all", False)]
    columns = ["kpi", "studio", "game", "platform", "is_available"]
    coverage = pl.DataFrame(rows, columns, orient="row")
    report = make_report(inputs(kpi_coverage=coverage), sources(), read_manifest())
    crash_free = {line.name: line.figures[3].value for line in report.figures.studios}
    assert crash_free == {"kumo": None, "Northlight Studio": 0.97}
    assert "Hatched days are provisional" in report.html


def test_restatements_since_the_day_are_counted() -> None:
    rows = pl.DataFrame(
        {
            "studio": ["all", "kumo", "all"],
            "game": "all",
            "platform": "all",
            "restated_at": [
                datetime(2026, 2, 9, tzinfo=UTC),
                datetime(2026, 2, 9, tzinfo=UTC),
                datetime(2026, 1, 9, tzinfo=UTC),
            ],
        }
    )
    found = make_report(inputs(kpi_restatements=rows), sources(), read_manifest()).figures.attention
    assert found[-1] == "2 published figures were restated, 1 of the portfolio"


def test_names_are_text_in_every_form(report: Report) -> None:
    assert HOSTILE not in report.html
    assert "<script" not in report.html
    assert HOSTILE in html.unescape(report.html)
    assert "<" not in report.slack and ">" not in report.slack
    assert slack_escaped("<!channel> & <@U1>\n*") == "&lt;!channel&gt; &amp; &lt;@U1&gt; *"


def test_charts_are_pictures_inside_the_page(report: Report) -> None:
    assert report.html.count('src="data:image/png;base64,') == 2
    png = report.images[report.figures.series[0].kpi.label]
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1120, 300)


def test_slack_text_has_a_limit_and_says_what_is_missing() -> None:
    grains = [("all", "all"), *((f"studio {n} & <b>", "all") for n in range(80))]
    figures = make_report(inputs(kpi_daily=daily(8, grains)), sources(), read_manifest()).figures
    text = report_slack(figures)
    assert len(text) <= SLACK_LIMIT
    assert "more lines in the report" in text
    assert "&am\n" not in text


def test_a_lake_without_a_complete_day_says_so() -> None:
    empty = inputs()
    report = make_report(type(empty)({}, empty.ledger.clear(), ()), sources(), read_manifest())
    assert report.figures.day is None
    assert "No day is complete yet." in report.text
    assert "No day is complete yet." in report.html
