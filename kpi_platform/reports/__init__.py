"""Daily reports that are sent: when a day is told, to whom, and what of it was told before."""
