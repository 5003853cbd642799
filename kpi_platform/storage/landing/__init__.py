"""The landing zone: objects in a folder or bucket, listed, opened, uploaded."""
