"""The one place of assembly: every asset, check, job, schedule, sensor and resource.

Belongs here: what the code location consists of. Does not: any logic.
"""

import dagster as dg

from kpi_platform.arrivals.assets import raw_telemetry
from kpi_platform.cleaned.assets import cleaned_events, sessions
from kpi_platform.history.assets import user_version_history
from kpi_platform.resources import PlatformResource

defs = dg.Definitions(
    assets=[raw_telemetry, cleaned_events, sessions, user_version_history],
    resources={"platform": PlatformResource()},
    # A process per step would cost seconds per hour; the steps of an hour are milliseconds.
    executor=dg.in_process_executor,
)
