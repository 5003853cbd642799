"""The database in which dbt builds the KPIs: the embedded file, and its copies on servers."""
