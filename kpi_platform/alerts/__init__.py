"""What is wrong, said once: findings become incidents, incidents messages by policies."""
