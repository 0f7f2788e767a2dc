"""The same weights in other runtimes, and a dense transformer in ours, to compare with."""
