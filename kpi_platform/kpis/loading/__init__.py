"""From the lake into the KPI database, and which periods that affects."""
