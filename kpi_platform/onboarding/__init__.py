"""Mapping proposals: a studio's catalog and some rows become a mapping for people to read."""
