"""Checks derived from the contracts, and freshness judged by the newest complete hour."""
