"""Whether the marts are built by the definitions that are installed.

Belongs here: this. Does not: building them (kpis/dbt/rebuild.py).
"""

from kpi_platform.kpis.dbt.projects import definitions_waiting
from kpi_platform.operations.findings import Finding

MEND = "dagster job execute -m kpi_platform.definitions -j definitions_rebuild"


def check_definitions() -> list[Finding]:
    """Whether a changed definition waits to be built; hours go on by the one before meanwhile."""
    waiting = definitions_waiting()
    if not waiting:
        return [
            Finding(
                "definitions",
                "well",
                "the marts are built by those that are installed, or the next run builds them",
            )
        ]
    said = f"changed and not built: {waiting}; hours go on by those before"
    return [Finding("definitions", "wrong", said, MEND)]
