"""Studios' warehouses behind one small interface: what is there, and a window of its rows.

Belongs here: the interface, its errors, and opening the right implementation. Does not: which
tables and windows are read, and what becomes of the rows.
"""

from kpi_platform.storage.studio_databases.errors import (
    StudioWarehouseError,
    TerminalWarehouseError,
    TransientWarehouseError,
    as_studio_error,
)
from kpi_platform.storage.studio_databases.interface import (
    CATALOG,
    SAMPLE_SECONDS,
    SchemaTraits,
    StudioWarehouse,
    Window,
)
from kpi_platform.storage.studio_databases.opening import open_warehouse
from kpi_platform.storage.studio_databases.reading_ahead import read_ahead

__all__ = [
    "CATALOG",
    "SAMPLE_SECONDS",
    "SchemaTraits",
    "StudioWarehouse",
    "StudioWarehouseError",
    "TerminalWarehouseError",
    "TransientWarehouseError",
    "Window",
    "as_studio_error",
    "open_warehouse",
    "read_ahead",
]
