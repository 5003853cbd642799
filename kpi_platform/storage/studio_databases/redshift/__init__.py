"""A studio's warehouse in Redshift."""
