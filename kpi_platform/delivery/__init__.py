"""Messages that leave the platform: written down first, then sent, until they have arrived."""
