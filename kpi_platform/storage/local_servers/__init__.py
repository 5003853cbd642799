"""Servers on this machine for tests and the demo: an S3, and processes that end with us."""
