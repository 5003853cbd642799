"""The books of the lake: what hours hold, what tables consumed, what waits, what is gone."""
