"""From events to sessions: parts of hours, and what is chained over the hours."""
