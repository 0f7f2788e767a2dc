"""Latency, memory and power on this machine, and beside other runtimes."""
