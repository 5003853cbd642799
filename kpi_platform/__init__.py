"""kpi_platform: hourly game telemetry in, exact version history and comparable KPIs out.

Rooms in the order of the flow: arrivals, cleaned, history, kpis, published.
"""
