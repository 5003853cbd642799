"""Room 4: the bridge from the lake to the warehouse, where dbt builds the KPI tables."""
