"""The dashboard in a real browser: it loads from disk without a network, its filters work, names
from outside are text, and everything is reached by keyboard."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from kpi_platform.published.pages.dashboard import make_dashboard
from kpi_platform.published.pages.dashboard_data import QUESTION_TABLES
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.published.pages.page_world import (
    HOSTILE,
    NOW,
    active_versions,
    adoption,
    console,
    coverage,
    daily,
    from_contract,
    inputs,
    sources,
    streams,
)

OTHERS = ("version_adoption", "dim_service", "kpi_coverage")
VIEWS = (
    *("overview", "trends", "retention", "versions", "feeds", "questions", "data", "definitions"),
)


@dataclass
class Opened:
    """A page as it was opened: what it complained of, and what it asked the network for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def show(self, view: str, **chosen: str) -> Page:
        """Show a view as its address says, and wait until it is drawn."""
        words = "&".join(f"{name}={value}" for name, value in {"view": view, **chosen}.items())
        self.page.evaluate("words => { location.hash = words }", words)
        self.page.wait_for_selector(f"main[data-view={view}][aria-busy=false]")
        return self.page


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dashboard of the small hostile world."""
    path = tmp_path_factory.mktemp("page") / "kpi dashboard.html"
    feeds = {"kpi_console_daily": console(), "kpi_stream_daily": streams()}
    found = inputs(kpi_coverage=coverage(), version_adoption=adoption(), **feeds)
    path.write_text(make_dashboard(found, sources(), read_manifest(), NOW), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    """The page opened from disk, in a context of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    found = Opened(page)
    page.on("console", lambda m: found.complaints.append(m.text))
    page.on("pageerror", lambda e: found.complaints.append(str(e)))
    page.on("request", lambda r: found.requests.append(r.url))
    page.goto(file.as_uri())
    page.wait_for_selector("main[aria-busy=false]")
    yield found
    context.close()


def _figure(page: Page, kpi: str) -> str:
    return page.locator(f".kpi[data-kpi={kpi}] .big").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_loads_without_complaints_or_requests(
    opened: Opened, file: Path, scheme: str
) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    for view in VIEWS:
        page = opened.show(view)
        assert page.locator("main h2").inner_text()
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(file.as_uri())] == []


def test_names_from_data_are_text(opened: Opened) -> None:
    for view in VIEWS:
        page = opened.show(view, days="all", by="game")
        assert page.evaluate("window.pwned") is None
        assert page.locator("img").count() == 0
    opened.show("overview")
    cut = opened.page.locator(".compare .pick bdi[title]")
    assert cut.get_attribute("title") == HOSTILE
    assert cut.inner_text().strip("\u2068\u2069") == HOSTILE[:39] + "…"
    assert opened.complaints == []


def test_filters_choose_grain_and_period(opened: Opened) -> None:
    page = opened.page
    # Of 40 days the newest is provisional: the 27 complete ones of the last 28 count.
    assert _figure(page, "dau") == "125"
    page.select_option("#f-studio", "kumo")
    assert _figure(page, "dau") == "525"
    assert page.locator("#f-game option").all_inner_texts() == ["All games", "mochi-dash"]
    page.select_option("#f-days", "7")
    assert _figure(page, "dau") == "535.5"
    page.check("#f-provisional")
    assert _figure(page, "dau") == "536"
    page.select_option("#f-platform", "pc")
    assert _figure(page, "dau") == "536"
    page.select_option("#f-days", "custom")
    page.fill("#f-from", "2026-01-01")
    page.fill("#f-to", "2026-01-02")
    assert _figure(page, "new_players") == "28"


def test_what_is_chosen_is_in_the_address(opened: Opened, file: Path) -> None:
    opened.page.select_option("#f-studio", "northlight")
    opened.page.select_option("#f-game", "ironvale")
    address = opened.page.url
    opened.page.goto("about:blank")
    opened.page.goto(address)
    opened.page.wait_for_selector("main[aria-busy=false]")
    assert opened.page.input_value("#f-game") == "ironvale"
    assert _figure(opened.page, "new_players") == str(27 * 12)


def test_a_wrong_address_shows_everything(opened: Opened) -> None:
    page = opened.show("overview", studio="nobody", game="x", platform="y", days="custom")
    assert page.input_value("#f-studio") == "all"
    assert opened.complaints == []


def test_provisional_days_are_marked_and_left_out(opened: Opened) -> None:
    page = opened.show("overview")
    assert "1 day of the period is provisional" in page.locator(".notice").inner_text()
    chart = opened.show("trends").locator(".chart").first
    assert chart.locator(".provisional").count() == 1
    assert chart.locator(".line.dashed").count() == 1


def test_retention_is_of_cohorts_whose_day_is_over(opened: Opened) -> None:
    page = opened.show("retention", days="all")
    row = page.locator("table", has_text="Day 30").first.locator("tbody tr").first
    shares = ["40.0 % of 3,900", "20.0 % of 3,300", "10.0 % of 1,000"]
    assert row.locator("td").all_inner_texts() == shares
    heat = page.locator("table.heat tbody tr").first.locator("td").all_inner_texts()
    assert heat[0] == "700"
    assert heat[-1] == "·"


def test_the_calculator_says_what_a_shutdown_loses(opened: Opened) -> None:
    page = opened.show("versions")
    slider = page.get_by_role("slider")
    figures = page.locator(".figure b")
    assert figures.all_inner_texts()[:2] == ["10", "0"]
    slider.focus()
    page.keyboard.press("End")
    assert figures.all_inner_texts()[:3] == ["40", "7", "20.5 %"]
    assert "Old phone (7)" in page.locator(".shutdown").inner_text()


def test_what_feeds_tell_is_shown_whatever_the_platform(opened: Opened) -> None:
    page = opened.show("feeds", platform="pc")
    assert _figure(page, "installs") == str(27 * 3)
    assert _figure(page, "trophy_earned_rate") == "25.0 %"
    assert _figure(page, "hours_watched") == "64.8K h"
    assert _figure(page, "peak_viewers") == "400"
    assert _figure(page, "viewer_ratio") == "100.00"
    assert "figures of all platforms" in page.locator(".view-head").inner_text()
    page = opened.show("feeds", studio="northlight")
    assert page.locator(".empty").all_inner_texts() == ["Nobody tells of this selection."] * 2
    page = opened.show("trends", kpi="hours_watched")
    assert page.locator(".card h3").first.inner_text() == "Hours watched"
    assert opened.complaints == []


def test_what_a_game_never_tells_is_no_figure(opened: Opened) -> None:
    """Without a crash event nothing crashes: that is no 100 %."""
    page = opened.show("overview", studio="northlight", game="ironvale")
    assert _figure(page, "crash_free_sessions") == "–"
    card = page.locator(".kpi[data-kpi=crash_free_sessions]")
    assert "not told: Crash" in card.inner_text()
    page = opened.show("overview")
    assert _figure(page, "crash_free_sessions") == "97.0 %"
    assert "1 game does not tell it" in card.inner_text()
    cells = page.locator("table.compare tbody tr", has_text="Ironvale").locator("td")
    assert cells.last.inner_text() == "–"
    assert cells.last.get_attribute("title") == "not told: Crash"


def test_days_of_which_nothing_is_told_are_gaps_of_adoption(opened: Opened) -> None:
    """Two versions on two days, nothing, then one day: two areas of each, and none across."""
    page = opened.show("versions", days="all")
    areas = page.locator(".chart polygon.area")
    assert areas.count() == 4
    ends = areas.evaluate_all("found => found.map(one => one.points[one.points.length - 1].x)")
    assert len({round(end) for end in ends}) == 2


def test_curves_of_the_same_cohorts_compare_like_with_like(opened: Opened) -> None:
    page = opened.show("retention", days="all", cohorts="same")
    row = page.locator("table", has_text="Day 30").first.locator("tbody tr").first
    shares = ["40.0 % of 1,000", "20.0 % of 1,000", "10.0 % of 1,000"]
    assert row.locator("td").all_inner_texts() == shares


def test_a_narrow_screen_scrolls_down_only(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 390, "height": 844})
    for view in VIEWS:
        page = opened.show(view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
    small = opened.show("trends").locator(".chart .tick").first
    assert small.evaluate("e => e.getBoundingClientRect().height") >= 9


def test_paper_is_white_whatever_the_screen_is(opened: Opened) -> None:
    page = opened.show("overview")
    page.emulate_media(color_scheme="dark", media="print")
    colour = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark", media="screen")
    assert page.evaluate(colour) != "rgb(255, 255, 255)"


def test_missing_tables_are_said_to_be_missing(opened: Opened) -> None:
    text = opened.show("questions").locator("main").inner_text()
    assert "the table ab_test_results has not been published" in text
    assert "3 versions of 1 service were seen" in text


def test_hours_that_failed_or_are_empty_are_told_apart(opened: Opened) -> None:
    page = opened.show("data", days="all")
    assert page.locator("td.s-failed").count() == 2
    canvas = page.get_by_role("img", name="Hours of mochi")
    assert "1 empty, 0 waiting, 1 failed" in (canvas.get_attribute("aria-label") or "")


def test_definitions_are_said_on_focus(opened: Opened) -> None:
    page = opened.show("overview")
    page.locator(".kpi .term").first.focus()
    assert "Distinct players with an in-game event" in page.locator("#tip").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_everything_is_reached_by_keyboard(opened: Opened) -> None:
    page = opened.page
    page.locator("#view-overview").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("main[data-view=trends]")
    assert page.evaluate("document.activeElement.id") == "view-trends"
    chart = page.locator(".chart").first
    chart.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#live").inner_text().startswith("Sun, 8 Feb 2026: ")
    unreached = page.evaluate(
        "[...document.querySelectorAll('button, select, input, a[href]')]"
        ".filter(e => e.tabIndex < 0 && e.getAttribute('role') !== 'tab').length"
    )
    assert unreached == 0


def test_themes_are_chosen_and_print_shows_the_figures(opened: Opened) -> None:
    page = opened.page
    background = "getComputedStyle(document.body).backgroundColor"
    colours = []
    for _ in range(3):
        page.click("#theme")
        colours.append(page.evaluate(background))
    assert len(set(colours)) == 2
    page.emulate_media(media="print")
    assert page.locator("#filters").is_hidden()
    assert page.locator(".kpi").first.is_visible()


def test_every_question_is_answered_from_its_contract(browser: Browser, tmp_path: Path) -> None:
    """The page and the models agree about columns: tables made of the contracts answer all."""
    manifest = read_manifest()
    tables = {name: from_contract(name, manifest) for name in (*QUESTION_TABLES, *OTHERS)}
    path = tmp_path / "questions.html"
    page_text = make_dashboard(inputs(**tables), sources(), manifest, NOW)
    path.write_text(page_text, encoding="utf-8")
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("console", lambda m: complaints.append(m.text))
    page.goto(f"{path.as_uri()}#view=questions")
    page.wait_for_selector("main[data-view=questions]")
    answers = page.locator(".question .answer").all_inner_texts()
    assert len(answers) == 12
    for number, answer in enumerate(answers):
        assert answer and "undefined" not in answer and "NaN" not in answer, (number, answer)
    headings = page.locator(".question thead").all_inner_texts()
    assert all(heading.count("↕") >= 6 for heading in headings), headings
    page.locator("#view-versions").click()
    assert page.locator(".chart polygon").count() > 1
    page.locator("#view-data").click()
    assert page.locator(".coverage tbody tr").count() > 1
    assert page.evaluate("window.pwned") is None
    assert complaints == []
    page.close()


def test_a_lake_without_anything_says_so(browser: Browser, tmp_path: Path) -> None:
    empty = inputs()
    nothing = type(empty)({}, empty.ledger.clear(), ())
    path = tmp_path / "empty.html"
    path.write_text(make_dashboard(nothing, sources(), read_manifest(), NOW), encoding="utf-8")
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(path.as_uri())
    page.wait_for_selector("main[aria-busy=false]")
    assert "No hour has been processed yet" in page.locator("#as-of").inner_text()
    for view in VIEWS:
        page.locator(f"#view-{view}").click()
        page.wait_for_selector(f"main[data-view={view}]")
    assert complaints == []
    page.close()


@pytest.mark.slow
def test_fifty_games_and_four_hundred_days_are_fast(browser: Browser, tmp_path: Path) -> None:
    """Opening takes well under two seconds, choosing another studio well under one."""
    games = [(f"studio{n % 10}", f"game{n}") for n in range(50)]
    grains = [("all", "all"), *((f"studio{n}", "all") for n in range(10)), *games]
    big = inputs(kpi_daily=daily(400, grains, ("all", "pc", "ios", "android", "console", "web")))
    path = tmp_path / "big.html"
    path.write_text(make_dashboard(big, sources(), read_manifest(), NOW), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("main[aria-busy=false]")
    opening = page.evaluate("performance.now()")
    choosing = page.evaluate(
        "async () => { const at = performance.now();"
        " const box = document.getElementById('f-studio'); box.value = 'studio3';"
        " box.dispatchEvent(new Event('change'));"
        " await new Promise(done => setTimeout(done)); document.body.offsetHeight;"
        " return performance.now() - at }"
    )
    assert path.stat().st_size < 20e6
    assert opening < 4000, opening
    assert choosing < 1000, choosing
    page.close()


def test_the_small_page_is_small(file: Path) -> None:
    assert active_versions().height == 3
    assert file.stat().st_size < 400_000
