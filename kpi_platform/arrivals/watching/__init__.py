"""Who looks for new files: listings, sensors, schedules, and the checks of what they found."""
