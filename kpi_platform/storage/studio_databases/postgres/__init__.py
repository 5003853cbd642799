"""A studio's warehouse in PostgreSQL."""
