"""Where incidents are looked for."""
