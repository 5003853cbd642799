"""Fixtures that tests of every room share."""

import pytest
from hypothesis import settings

from kpi_platform_tests.browser import HOW_TO_GET_ONE, browser, chromium
from kpi_platform_tests.servers import postgres_server, s3_server

__all__ = ["browser", "postgres_server", "s3_server"]

# A busy machine is no fault of what is tested: no property has a deadline.
settings.register_profile("without_deadline", settings(), deadline=None)
settings.load_profile("without_deadline")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker waits for the last."""
    items.sort(key=lambda item: not any(item.iter_markers("slow")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out for want of a browser: a skip alone is easily missed."""
    if chromium() is None:
        terminalreporter.write_line(HOW_TO_GET_ONE, yellow=True)
