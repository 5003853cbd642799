"""Opening a studio's warehouse as its sources file says.

Belongs here: choosing the implementation and finding its secrets. Does not: any statement.
"""

from collections.abc import Callable
from pathlib import Path

from kpi_platform.schemas.source_connections import Connection
from kpi_platform.storage.warehouses.interface import StudioWarehouse


def open_warehouse(
    connection: Connection, base: Path, secret: Callable[[str], str | None]
) -> StudioWarehouse:
    """Open the warehouse; `base` is the folder of the sources file, `secret` finds a variable.

    Raises TerminalWarehouseError if a variable is missing or wrong, TransientWarehouseError if
    nobody answers.
    """
    raise NotImplementedError
