"""Tests of studios' warehouses."""
