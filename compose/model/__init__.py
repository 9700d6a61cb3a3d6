"""What a Compose file means, as immutable records."""
