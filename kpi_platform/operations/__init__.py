"""How the platform stands and what is wrong with it: `kpi status` and `kpi doctor`.

Belongs here: looking, and judging what was found. Does not: mending it, which other commands do,
and the watching by the hour (`monitoring`).
"""
