"""What of Dagster every room shares: partitions, resources, asset specs, recorded hours."""
