"""Delta tables: their files, their writes, their states."""
