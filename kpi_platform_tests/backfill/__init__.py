"""Tests of planning and running backfills."""
