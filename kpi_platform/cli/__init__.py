"""The `kpi` command: arguments in, text out; the work is done elsewhere."""
