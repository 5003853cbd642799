"""Fixtures that tests of every room share."""

from kpi_platform_tests.servers import postgres_server, s3_server

__all__ = ["postgres_server", "s3_server"]
