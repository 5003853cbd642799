"""What each table promises: grain, keys, types and units; imports none of our other code."""
