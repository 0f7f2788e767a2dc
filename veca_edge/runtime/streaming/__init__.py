"""A stream computes only what changed: which patches did, and what is remembered of the others."""
