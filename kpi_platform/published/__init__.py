"""Room 5: the KPI tables as Delta tables, which is what consumers read."""
