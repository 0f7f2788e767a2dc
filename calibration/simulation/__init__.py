"""A simulated device in a loop with the real governor."""
