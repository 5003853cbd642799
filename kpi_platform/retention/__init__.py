"""Retention: rows go after a number of days, what was made of them stays."""
