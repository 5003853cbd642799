"""How fast the platform is, always beside a peer that does the same in the plainest way."""
