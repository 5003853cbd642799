"""Ingest hours as sets, as the books have them, and what checks say of them."""
