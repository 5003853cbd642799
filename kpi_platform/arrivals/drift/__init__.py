"""What changed in a studio's schema since it was mapped, and what that means in plain words."""
