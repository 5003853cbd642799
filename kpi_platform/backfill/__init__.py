"""Which hours need work and why, and carrying it out in pieces that can be resumed."""
