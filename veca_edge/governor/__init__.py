"""Which operating point to run at, decided from the device's state and the frames' times.

    front = Front.of(operating_points(quality_table, latency_table, target_rate=30))
    decision = decide(state, previous, frames, front, BALANCED)

Pure: no clock, no input or output, standard library only. README.md in this folder is the specification.
"""

from veca_edge.governor.decision import Decision, Memory
from veca_edge.governor.governor import Governor
from veca_edge.governor.points import Front, OperatingPoint, operating_points
from veca_edge.governor.policy import decide
from veca_edge.governor.quality import LatencyTable, QualityTable
from veca_edge.governor.settings import BALANCED, PRESETS, QUALITY, SAVER, Settings, preset
from veca_edge.governor.state import DeviceState, ThermalLevel
from veca_edge.governor.statistics import FrameStatistics

__all__ = [
    "BALANCED",
    "PRESETS",
    "QUALITY",
    "SAVER",
    "Decision",
    "DeviceState",
    "FrameStatistics",
    "Front",
    "Governor",
    "LatencyTable",
    "Memory",
    "OperatingPoint",
    "QualityTable",
    "Settings",
    "ThermalLevel",
    "decide",
    "operating_points",
    "preset",
]
