"""Room 1: files as they arrive become `raw_telemetry`, one row per readable line."""
