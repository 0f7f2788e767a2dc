"""The same weights in other runtimes, and a dense transformer in ours, to compare with."""

from __future__ import annotations

from calibration.against.rival import Output, Rival, Source
from calibration.against.runtimes import RUNTIMES, open_rivals

__all__ = ["RUNTIMES", "Output", "Rival", "Source", "open_rivals"]
