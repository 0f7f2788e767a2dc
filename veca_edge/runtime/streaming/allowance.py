"""How much more than full frames a stream may cost. Counted in what its work costs, so that results repeat."""

from __future__ import annotations

# The unit is what a full frame costs per patch. Measured with the packaged model in thread time, one thread of an
# AMD EPYC, at 128 and 256 pixels with 8 and 64 cores; other models and engines have the same parts.
CALL = 12.0  # fitting the frame and making the result, of every frame
CORE = 1.25  # per core of a full frame
STEP_PATCH, STEP_CORE, STEP_REMEMBERED = 1.25, 1.5, 0.125  # of a step
PLAN = 14.0  # of another number of patches than the step before, for which the engine makes a new plan
LOOK, LOOK_PATCH = 6.0, 0.015625  # of looking for change, per frame and per patch of the picture
TAKEN = 0.5  # of a look: what the next frame is compared with, and no more
KEEP, KEEP_PATCH = 3.0, 0.09375  # of the keys and values of a keyframe, beyond a full frame

# In full frames: what can be spent at once, and what comes back per frame. A second (30
# frames) in which everything moves then costs about 30 + MOST + 30 EARNED full frames, 1.5 % too many.
MOST = 0.21875
EARNED = 0.0078125


class Allowance:
    """What a stream may still spend: what it saves pays for what it spends later, up to a limit.

    Attributes:
        left: full frames, below 0 if too much was spent.
    """

    def __init__(self, patches: int, cores: int) -> None:
        """Args:
        patches: N, of the picture.
        cores: the core budget.
        """
        self.left = MOST
        full = CALL + patches + CORE * cores
        self._look = (LOOK + LOOK_PATCH * patches) / full
        self._keep = (KEEP + KEEP_PATCH * patches) / full
        self._nothing = CALL / full + self._look
        self._step = (STEP_CORE * cores + STEP_REMEMBERED * patches) / full
        self._step_patch = STEP_PATCH / full
        self._plan = PLAN / full
        self._all = self._before = patches  # of the step before

    @property
    def spent(self) -> bool:
        """Whether only full frames may follow, until what they earn makes up for it."""
        return self.left < 0

    def pays(self, patches: int) -> bool:
        """Whether a step of so many patches makes up for a keyframe that remembers the others."""
        return self._keep + self._plan + self._cost(patches) < 1

    def step(self, patches: int) -> bool:
        """A frame of which so many patches were computed, after looking for change. Whether that saved anything."""
        cost = self._cost(patches)
        if patches and patches != self._before:
            cost, self._before = cost + self._plan, patches
        self._count(cost)
        return cost < 1

    def full(self, *, kept: bool, looked: bool, taken: bool) -> None:
        """A frame of all patches.

        Args:
            kept: with their keys and values.
            looked: after looking for change.
            taken: without, but so that the next frame can be compared with it.
        """
        if kept:
            self._before = self._all
        look = 1.0 if looked else TAKEN * taken
        self._count(1 + kept * self._keep + look * self._look)

    def _cost(self, patches: int) -> float:
        return self._nothing + (self._step + self._step_patch * patches if patches else 0)

    def _count(self, cost: float) -> None:
        self.left = min(MOST, self.left + 1 + EARNED - cost)
