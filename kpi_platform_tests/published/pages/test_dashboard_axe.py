"""The dashboard as axe-core judges it: every view, in both schemes, wide and narrow."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from kpi_platform.published.pages.dashboard import make_dashboard
from kpi_platform.published.pages.dashboard_data import QUESTION_TABLES
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform_tests.published.pages.page_world import (
    NOW,
    adoption,
    console,
    coverage,
    from_contract,
    inputs,
    sources,
    streams,
)

RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
WIDE, NARROW = 1280, 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_axe_finds_nothing(browser: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    manifest = read_manifest()
    tables = {name: from_contract(name, manifest) for name in QUESTION_TABLES}
    feeds = {"kpi_console_daily": console(), "kpi_stream_daily": streams()}
    more = {"kpi_coverage": coverage(), "version_adoption": adoption(), **feeds}
    path = tmp_path / "page.html"
    text = make_dashboard(inputs(**tables, **more), sources(), manifest, NOW)
    path.write_text(text, encoding="utf-8")
    # The page allows no script but its own; axe is one.
    page = browser.new_page(viewport={"width": width, "height": 900}, bypass_csp=True)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(path.as_uri())
    page.wait_for_selector("main[aria-busy=false]")
    found = []
    for tab in page.locator("[role=tab]").all():
        tab.click()
        page.wait_for_selector("main[aria-busy=false]")
        result = Axe().run(page, options={"runOnly": RULES})
        found += [
            (tab.inner_text(), each["id"], each["nodes"][0]["html"][:200])
            for each in result.response["violations"]
        ]
        # It did look.
        assert len(result.response["passes"]) > 10
    page.close()
    assert found == []
