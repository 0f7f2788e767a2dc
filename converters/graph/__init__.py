"""The elastic graph and the weights that it multiplies with, whatever file they end up in."""
