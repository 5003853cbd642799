"""The one Dagster resource: the platform's parts, opened when a run starts and not before.

Belongs here: the bridge from Dagster to settings and storage. Does not: anything an asset does.
"""

from functools import cached_property

import dagster as dg

from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """Gives assets the platform of the current environment."""

    @cached_property
    def platform(self) -> Platform:
        """Landing, lake, sources and settings as the environment says when first asked."""
        return Platform(load_settings())
