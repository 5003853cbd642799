"""The dashboard and the daily report: their figures, their words, their assets."""
