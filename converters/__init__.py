"""Checkpoint in, device file out: the elastic graph, its lowering, and the verification of what was written."""
