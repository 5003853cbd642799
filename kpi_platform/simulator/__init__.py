"""A synthetic world of studios, for the demo, the tests and the benchmarks.

Belongs here: making the world, its files and its truth. Does not: reading what the platform made.
"""

from kpi_platform.simulator.simulation import SimulationSummary, simulate
from kpi_platform.simulator.sources_file import demo_sources_yaml
from kpi_platform.simulator.studios_data.studios_postgres import PostgresPlace, SimulatedServerError

__all__ = [
    "PostgresPlace",
    "SimulatedServerError",
    "SimulationSummary",
    "demo_sources_yaml",
    "simulate",
]
