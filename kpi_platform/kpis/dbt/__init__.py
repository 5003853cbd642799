"""The dbt project: what it says, whether it changed, and running it."""
