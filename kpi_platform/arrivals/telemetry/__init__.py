"""Telemetry files: bytes to lines, lines to fields, fields to the rows of `raw_telemetry`."""
