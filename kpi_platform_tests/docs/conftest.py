"""Fixtures of the tests of docs."""

from kpi_platform_tests.arrivals.conftest import memory_path

__all__ = ["memory_path"]
