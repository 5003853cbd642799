"""What tests of feeds share with those of studios' warehouses."""

from kpi_platform_tests.arrivals.studios.conftest import memory_path

__all__ = ["memory_path"]
