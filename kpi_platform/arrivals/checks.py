"""What must be true of an hour after it was read: rows as the contract says.

Belongs here: the checks of `raw_telemetry`. Does not: when they run.
"""

from collections.abc import Sequence
from datetime import datetime

from kpi_platform.schemas.hour_checks import HourCheck, contract_spec
from kpi_platform.storage.contract_checks import check_contract
from kpi_platform.storage.lake import Lake

RAW_CHECKS = [contract_spec("raw_telemetry")]


def check_raw(lake: Lake, hours: Sequence[datetime]) -> list[HourCheck]:
    """Evaluate the checks of `raw_telemetry` for these hours, from the table as it is now."""
    return check_contract(lake, "raw_telemetry", hours)
