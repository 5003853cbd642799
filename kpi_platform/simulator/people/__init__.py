"""Who plays what, when and how."""
