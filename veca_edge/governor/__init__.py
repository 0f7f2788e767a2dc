"""Which operating point to run at, decided from the device's state and the frames' times.

    front = Front.of(operating_points(quality_table, latency_table, target_rate=30))
    decision = decide(state, previous, frames, front, BALANCED)

Pure: no clock, no input or output, standard library only. README.md in this folder is the specification.
"""
