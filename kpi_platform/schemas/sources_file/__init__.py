"""The file of `KPI_SOURCES`: its shape, its mistakes, and what its mappings mean."""
