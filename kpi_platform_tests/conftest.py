"""Fixtures that tests of every room share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from kpi_platform.schemas.texts import hidden_secrets
from kpi_platform_tests.browser import HOW_TO_GET_ONE, browser, chromium
from kpi_platform_tests.servers import postgres_server, s3_server

__all__ = ["browser", "postgres_server", "s3_server"]

# A busy machine is no fault of what is tested: no property has a deadline.
settings.register_profile("without_deadline", settings(), deadline=None)
settings.load_profile("without_deadline")


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    """What one test calls a secret, such as the last word of an address, is none to the next."""
    known = dict(hidden_secrets._secrets)
    yield
    if hidden_secrets._secrets != known:
        hidden_secrets._secrets.clear()
        hidden_secrets._secrets.update(known)
        hidden_secrets._pattern.cache_clear()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker waits for the last; what a module makes once
    for its tests is made by one worker."""
    items.sort(key=lambda item: not any(item.iter_markers("slow")))
    for item in items:
        if not any(item.iter_markers("xdist_group")) and _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Groups that a release of pytest passed over would make everything slow without a word."""
    if getattr(session.config.option, "loadgroup", False):
        for item in session.items:
            if any(item.iter_markers("xdist_group")) and "@" not in item.nodeid:
                raise pytest.UsageError(f"{item.nodeid}: the group is passed over")


def _shares_with_its_module(item: pytest.Item) -> bool:
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009
    return any(each[-1].scope == "module" for each in definitions)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out for want of a browser: a skip alone is easily missed."""
    if chromium() is None:
        terminalreporter.write_line(HOW_TO_GET_ONE, yellow=True)
