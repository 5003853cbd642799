"""kpi_platform: hourly game telemetry in, exact version history and comparable KPIs out.

Rooms in the order of the flow: arrivals, cleaned, history, kpis, published.
"""

import os

# How Polars' allocator gives memory back, read when Polars is loaded. Its default returns freed
# pages within half a second, and an hour's work then spends a third of its time on getting them
# anew; one arena for all threads keeps what is held back small.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0")
