"""Heads on frozen models: features computed once, a linear classifier, and its evaluation."""
