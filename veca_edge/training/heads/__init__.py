"""Heads on frozen models: features computed once, a linear classifier, what it is worth."""
