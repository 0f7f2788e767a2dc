"""What the device says about its battery, heat and power; unknown (None) is a value everywhere.

    with Monitor(detect()) as monitor:
        monitor.wait(1.0)
        state = monitor.state  # never blocks, whatever the sensors do

A reader (`Reader`) knows one source; `Monitor` polls each in a thread of its own; `plausible` is the one place that
decides what can be true; `trace` keeps states in a file and gives them back. All of it takes the standard library
only; bridges to a platform are imported when they are first read.
"""

from __future__ import annotations

from veca_edge.sensors.monitor import Look, Monitor
from veca_edge.sensors.platforms import detect
from veca_edge.sensors.reading import FIELDS, Reader, Reading, Sensed
from veca_edge.sensors.trace import TraceWriter, read_trace

__all__ = ["FIELDS", "Look", "Monitor", "Reader", "Reading", "Sensed", "TraceWriter", "detect", "read_trace"]
