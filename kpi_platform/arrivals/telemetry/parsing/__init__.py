"""Lines of telemetry, in every form that they come in, as typed fields."""
