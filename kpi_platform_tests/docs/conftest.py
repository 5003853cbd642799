"""Fixtures of the tests of docs."""

from kpi_platform_tests.arrivals.studios.conftest import memory_path

__all__ = ["memory_path"]
