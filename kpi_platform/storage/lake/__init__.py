"""Delta tables: reading, writing, snapshots, upkeep, SQL over all of them, and locks."""
