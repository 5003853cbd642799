"""Room 3: sightings of versions become one row per player with the whole version history."""
