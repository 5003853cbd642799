"""The dashboard for whoever opens it: nothing there yet, games of one name, odd names, many lines,
the keyboard, small targets, paper, and what a client can inflate."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from kpi_platform.published.pages.dashboard import make_dashboard, page_parts
from kpi_platform.published.pages.dashboard_data import PLATFORMS, TABLE_ROWS
from kpi_platform.schemas.sources_file.sources import Sources, parse_sources
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.published.pages.page_world import (
    NOW,
    active_versions,
    coverage,
    daily,
    inputs,
    sources,
)

LONG = "Ünïcode " * 40
TURNED = "\u202eevil\u202c\u2066 name"
PART = "{key: KEY, name: NAME, games: [{key: runner, sources: [{key: KEY-r, telemetry: KEY-r}]}]}"
_PARTS = [PART.replace("KEY", k).replace("NAME", n) for k, n in (("a", "Alpha"), ("b", "Beta"))]
TWO = f"studios: [{', '.join(_PARTS)}]"


def _open(browser: Browser, path: Path, text: str, width: int = 1280) -> Page:
    path.write_text(text, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("main[aria-busy=false]")
    return page


@pytest.fixture(scope="module")
def many(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """70 games with versions, some of them of odd names."""
    names = ["alef", LONG, TURNED, *(f"game{n}" for n in range(67))]
    grains = [("all", "all"), ("s", "all"), *(("s", name) for name in names)]
    tables = {"kpi_daily": daily(8, grains, ("all",)), "kpi_coverage": coverage()}
    rows = active_versions().head(1)
    versions = [rows.with_columns(version=pl.lit(f"1.{n}"), players=n) for n in range(38)]
    found = inputs(**tables, active_versions=pl.concat(versions))
    text = make_dashboard(found, sources(), read_manifest(), NOW)
    page = _open(browser, tmp_path_factory.mktemp("many") / "many.html", text)
    # The page keeps its functions to itself: the same ones, for the charts asked for alone.
    scripts = [text for name, text in sorted(page_parts().items()) if name.endswith(".js")]
    page.evaluate("(() => {" + "\n".join(scripts[:-1]) + "; window.lineChart = lineChart; })()")
    yield page
    page.close()


def _go(page: Page, view: str, **chosen: str) -> Page:
    words = "&".join(f"{name}={value}" for name, value in {"view": view, **chosen}.items())
    page.evaluate("words => { location.hash = words }", words)
    page.wait_for_function("view => document.querySelector('main').dataset.view === view", arg=view)
    return page


def test_an_empty_installation_says_so(browser: Browser, tmp_path: Path) -> None:
    empty = inputs()
    nothing = type(empty)({}, empty.ledger.clear(), ())
    text = make_dashboard(nothing, Sources(studios=()), read_manifest(), NOW)
    page = _open(browser, tmp_path / "empty.html", text)
    assert "There are no figures yet" in page.locator("main").inner_text()
    for view in page.locator("[role=tab]").all():
        view.click()
        assert "cannot be shown" not in page.locator("main").inner_text()
    page.close()


def test_versions_from_a_chosen_one_on_are_shown_alone(many: Page) -> None:
    _go(many, "versions", service="Client", since="1.34")
    shown = many.locator("main tbody tr th").all_inner_texts()
    _go(many, "versions", service="Client")
    numbered = sorted(text.split()[0] for text in shown if text.startswith("1."))
    assert numbered == ["1.34", "1.35", "1.36", "1.37"]
    assert many.locator("main tbody tr").count() > len(shown)


def test_two_studios_with_one_game_key_keep_their_figures(browser: Browser, tmp_path: Path) -> None:
    grains = [("all", "all"), ("a", "all"), ("a", "runner"), ("b", "all"), ("b", "runner")]
    found = inputs(kpi_daily=daily(8, grains, ("all",)))
    text = make_dashboard(found, parse_sources(TWO, "test"), read_manifest(), NOW)
    page = _open(browser, tmp_path / "two.html", text)
    options = page.locator("#f-game option").all_inner_texts()
    assert options == ["All games", "runner (Alpha)", "runner (Beta)"]
    figures = {}
    for name in ("Alpha", "Beta"):
        page.select_option("#f-studio", "all")
        page.select_option("#f-game", label=f"runner ({name})")
        page.wait_for_function(
            "name => document.querySelector('.chosen').innerText.startsWith(name)", arg=name
        )
        assert f"runner ({name})" in page.locator(".chosen").inner_text()
        figures[name] = page.locator(".kpi[data-kpi=dau] .big").inner_text()
    assert figures["Alpha"] != figures["Beta"]
    page.close()


def test_odd_names_are_set_apart_and_cut(many: Page) -> None:
    page = _go(many, "overview")
    cells = page.locator(".compare .pick bdi")
    texts = cells.all_inner_texts()
    assert max(map(len, texts)) <= 42
    assert not [
        c for text in texts for c in text if c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067"
    ]
    titles = [cell.get_attribute("title") or "" for cell in cells.all()]
    assert max(map(len, titles)) > 200
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize(
    "values", [[0.1 * n for n in range(7)], [float(n * 10) for n in range(38)]]
)
def test_labels_stay_at_their_lines(many: Page, values: list[float]) -> None:
    """Within the chart, apart from each other, in the order of their lines."""
    found = many.evaluate(
        """values => {
          const series = values.map((v, i) => ({ name: "line " + i, values: [1000, v] }));
          series.push({ name: "nothing", values: [null, null] });
          const options = { unit: "number", title: "t", wide: 980, height: 320 };
          const svg = lineChart(series, [0, 86400000], options);
          return [...svg.querySelectorAll("text.label")].map(
            e => [e.firstChild.textContent, Number(e.getAttribute("y"))]);
        }""",
        values,
    )
    named = [(name, y) for name, y in found if name.startswith("line")]
    assert "nothing" not in [name for name, _ in found]
    assert all(12 <= y <= 300 for _, y in found)
    heights = [y for _, y in named]
    assert heights == sorted(heights)
    assert all(b - a >= 13 for a, b in pairwise(heights))
    numbers = [int(name.split()[1]) for name, _ in named]
    assert numbers == sorted(numbers, reverse=True)
    left_out = len(values) - len(named)
    assert [name for name, _ in found if name.startswith("and ")] == (
        [f"and {left_out} more"] if left_out else []
    )


@pytest.mark.parametrize("hours", [3, 10, 24, 49, 72, 168])
@pytest.mark.parametrize("wide", [340, 620, 980])
def test_labels_of_hours_do_not_overlap(many: Page, hours: int, wide: int) -> None:
    spans = many.evaluate(
        """([hours, wide]) => {
          const start = 1767326400000, hour = 3600000;
          const times = Array.from({ length: hours }, (_, i) => start + i * hour);
          const options = { unit: "number", title: "t", hourly: true, wide, height: 200 };
          const svg = lineChart([{ name: "x", values: times.map((_, i) => i) }], times, options);
          document.body.append(svg); svg.style.width = wide + "px";
          const found = [...svg.querySelectorAll("text.tick")]
            .filter(e => e.getAttribute("text-anchor") === "middle")
            .map(e => { const a = e.getBoundingClientRect(); return [a.left, a.right]; });
          svg.remove();
          return found;
        }""",
        [hours, wide],
    )
    assert len(spans) >= 1
    spans.sort()
    assert all(a[1] < b[0] for a, b in pairwise(spans)), spans


def test_the_keyboards_focus_stays(many: Page) -> None:
    page = _go(many, "overview", studio="all", game="all")
    sorter = page.locator(".compare .sorter").nth(1)
    sorter.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.className") == "sorter"
    picked = page.locator(".compare .pick").nth(2)
    name = picked.inner_text()
    picked.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.innerText") == name
    _go(page, "questions", studio="all", game="all")
    page.locator(".more").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.innerText") == "Show fewer"
    page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("view", ["overview", "trends", "questions", "data", "definitions"])
def test_targets_are_large_enough(many: Page, width: int, view: str) -> None:
    """WCAG 2.2, 2.5.8: 24 by 24 pixels."""
    many.set_viewport_size({"width": width, "height": 900})
    page = _go(many, view, studio="all", game="all")
    small = page.evaluate(
        """[...document.querySelectorAll("button, select, input, summary, a[href]:not(.skip)")]
          .filter(e => e.offsetParent)
          .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
          .filter(([, a]) => a.width < 24 || a.height < 24)
          .map(([text, a]) => `${text} ${a.width} ${a.height}`)"""
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    many.set_viewport_size({"width": 1280, "height": 900})


def test_paper_shows_every_row_within_it(many: Page, tmp_path: Path) -> None:
    page = _go(many, "questions", studio="all", game="all")
    assert page.locator("#t-active_versions tbody tr").count() == 8
    page.emulate_media(media="print")
    expect(page.locator("#t-active_versions tbody tr")).to_have_count(38)
    # A4 across, 10 mm left and right.
    page.set_viewport_size({"width": 1046, "height": 700})
    wide = page.evaluate(
        "Math.max(...[...document.querySelectorAll('main *')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert wide <= 1046
    page.emulate_media(media="screen")
    expect(page.locator("#t-active_versions tbody tr")).to_have_count(8)
    page.set_viewport_size({"width": 1280, "height": 900})


def test_what_a_client_inflates_is_bounded_and_said(browser: Browser, tmp_path: Path) -> None:
    forged = 300
    platforms = ("all", *(f"forged{n}" for n in range(forged)))
    rows = active_versions().head(1)
    count = TABLE_ROWS + 500
    versions = (
        pl.DataFrame({"n": range(count)})
        .join(rows, how="cross")
        .with_columns(
            version="9." + pl.col("n").cast(pl.String),
            players=pl.col("n").cast(rows.schema["players"]),
        )
    )
    found = inputs(kpi_daily=daily(3, platforms=platforms), active_versions=versions.drop("n"))
    text = make_dashboard(found, sources(), read_manifest(), NOW)
    assert text.count('data-block="') == 3 + PLATFORMS
    page = _open(browser, tmp_path / "forged.html", text)
    assert f"Platform ({PLATFORMS} of {forged})" in page.locator("#filters").inner_text()
    _go(page, "questions")
    assert (
        "500 more rows are in the table published/active_versions"
        in page.locator("main").inner_text()
    )
    page.close()
