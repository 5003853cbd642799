"""Tests of the verification: what it finds, what it names, what it leaves alone."""
