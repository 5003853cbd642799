"""The incremental engine: which hours need work and in which order, and what tables consumed."""
