"""What the device says about its battery, heat and power; unknown (None) is a value everywhere.

    with Monitor(detect()) as monitor:
        monitor.wait(1.0)
        state = monitor.state  # never blocks, whatever the sensors do

A reader (`Reader`) knows one source; `Monitor` polls each in a thread of its own; `plausible` is the one place that
decides what can be true; `trace` keeps states in a file and gives them back. All of it takes the standard library
only; bridges to a platform are imported when they are first read.
"""
