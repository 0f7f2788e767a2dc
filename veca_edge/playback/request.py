"""What `run` was asked for: one frozen request, and what in it contradicts itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from veca_edge.errors import VecaError
from veca_edge.files import check_target, same_file
from veca_edge.playback.views import VIEWS
from veca_edge.playback.web.address import Address
from veca_edge.playback.writers import check_video_path
from veca_edge.runtime.model import Model
from veca_edge.runtime.streaming.change import ChangeSettings
from veca_edge.sensors.state import ThermalLevel

FOR_AUTO = ("target_fps", "battery", "thermal", "low_power")
FOR_FIXED = ("sensitivity", "patch_budget")


@dataclass(frozen=True)
class RunRequest:
    """What to run, on what, and where to show it.

    Attributes:
        model: a model file or checkpoint; None for the demo model.
        camera, source: a camera's index, or a video, image, folder or URL; not both. Neither: camera 0.
        cores: "auto", or budgets that alternate, a second of video each; None for auto where that is possible,
            else the largest budget.
        governor: name of the governor's preset.
        target_fps: frames per second that auto aims for; None for the source's own.
        battery, thermal, low_power: what to assume instead of what the sensors say; None and False for nothing.
        image_size: model input in pixels, None for the model's own.
        view: what to draw, one of `VIEWS`.
        headless: show no window.
        serve, token: where to serve a page that shows the run, and the token that it asks for.
        save, log: a video of what is shown, and a file of JSON lines.
        frames: stop after this many, None for all.
        fps_limit: most frames per second, None for no limit.
        stream: compute only what changed, where frames follow each other.
        sensitivity, patch_budget: as in `ChangeSettings`; None for its defaults.
        loop: start files over at their end.
        retry: seconds to wait for a camera that went away.
        threads: for the model; None for the number of big cores.
        snapshots: the folder for snapshots.

    Raises:
        VecaError: both a camera and a source are named.
    """

    model: Path | None = None
    camera: int | None = None
    source: str | None = None
    cores: Literal["auto"] | tuple[int, ...] | None = None
    governor: str = "balanced"
    target_fps: float | None = None
    battery: float | None = None
    thermal: ThermalLevel | None = None
    low_power: bool = False
    image_size: int | None = None
    view: str = VIEWS[0]
    headless: bool = False
    serve: Address | None = None
    token: str | None = None
    save: Path | None = None
    log: Path | None = None
    frames: int | None = None
    fps_limit: float | None = None
    stream: bool = True
    sensitivity: float | None = None
    patch_budget: int | None = None
    loop: bool = False
    retry: float = 10.0
    threads: int | None = None
    snapshots: Path = Path()

    def __post_init__(self) -> None:
        if self.camera is not None and self.source is not None:
            raise VecaError("--camera and --source both name a source: give one of them")

    @property
    def change(self) -> ChangeSettings:
        """What counts as change in a stream."""
        sensitivity = ChangeSettings.sensitivity if self.sensitivity is None else self.sensitivity
        return ChangeSettings(sensitivity=sensitivity, patch_budget=self.patch_budget)

    @property
    def alternating(self) -> tuple[int, ...]:
        """The budgets that alternate; () if there are not several."""
        return self.cores if isinstance(self.cores, tuple) and len(self.cores) > 1 else ()

    def check_outputs(self) -> None:
        """Raise a VecaError for outputs that cannot be written or would overwrite an input."""
        if self.save is not None:
            check_video_path(self.save)
        named = {"save": self.save, "log": self.log}
        outputs = {name: check_target(path) for name, path in named.items() if path is not None}
        if len(outputs) == 2 and same_file(*outputs.values()):
            raise VecaError(f"--save and --log both name {outputs['save']}: choose two names")
        inputs = [Path(name) for name in (self.model, self.source) if name is not None]
        for name, target in outputs.items():
            taken = target.exists()
            if any(same_file(target, path) or (taken and same_file(target.parent, path)) for path in inputs):
                raise VecaError(f"--{name} {target} would overwrite an input: choose another name")

    def governs(self, model: Model, streams: bool) -> bool:
        """Whether the governor chooses: by default if the model file says what its operating points are worth.

        Args:
            streams: whether frames are streamed.

        Raises:
            VecaError: auto is asked for and impossible, or an option has no use beside the others.
        """
        can = streams and model.quality is not None
        if self.cores == "auto" and not streams:
            raise VecaError("--cores auto needs a video or a camera, and --stream: give a number of cores instead")
        if self.cores == "auto" and not can:
            raise VecaError("--cores auto needs a model file with a quality table: convert the checkpoint again")
        fixed = self._given(FOR_FIXED)
        if self.cores == "auto" and fixed:
            raise VecaError(f"{fixed} needs a fixed --cores: with auto the governor chooses it")
        auto = can and not fixed and not isinstance(self.cores, tuple)
        if self._given(FOR_AUTO) and not auto:
            raise VecaError(f"{self._given(FOR_AUTO)} works with --cores auto only: leave it out")
        return auto

    def _given(self, names: tuple[str, ...]) -> str:
        """The first of these options that was given, as it is spelled; "" if none was."""
        values = ((name, getattr(self, name)) for name in names)
        given = [name for name, value in values if value is not None and value is not False]
        return f"--{given[0].replace('_', '-')}" if given else ""
