"""What `run` was asked for: one frozen request, and what in it contradicts itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from shlex import quote
from typing import Literal

from veca_edge.camera.addresses import masked
from veca_edge.camera.sources import check_there, looks_like_source
from veca_edge.errors import VecaError, shown
from veca_edge.files import check_target, existing, expanded, is_there, same_file, shortened
from veca_edge.gallery.archive import check_ending
from veca_edge.gallery.file import A_GALLERY
from veca_edge.image.preprocessing import check_whole_patches
from veca_edge.modelfile.heads import DenseTask
from veca_edge.playback.target_files import check_mask_folder, check_saved
from veca_edge.playback.web.address import Address
from veca_edge.playback.writers import check_video_path
from veca_edge.requests import given_options
from veca_edge.runtime.model import Model, checked_budget, looks_like_model
from veca_edge.runtime.streaming.change import ChangeSettings
from veca_edge.sensors.state import ThermalLevel

# Options that only one kind of run has: where the governor chooses, and where it does not.
FOR_AUTO = ("governor", "battery", "thermal", "low_power", "trace")
FOR_FIXED = ("sensitivity", "patch_budget")
FASTER = 1.05  # times the target: frames of a source at about the target's rate are all computed


@dataclass(frozen=True)
class RunRequest:
    """What to run, on what, and where to show it.

    Attributes:
        model: a model file or checkpoint; None for the demo model.
        camera, source: a camera's index, or a video, image, folder or URL; not both. Neither: camera 0.
        cores: "auto", or budgets that alternate, a second of video each ("all" of the model's); None for auto where
            that is possible, else the largest budget.
        governor: name of the governor's preset.
        target_fps: frames per second to compute; of a faster source some are left out. None for the source's own.
        battery, thermal, low_power: what to assume instead of what the sensors say; None and False for nothing.
        trace, trace_speed: a recording to take the device's state from, and seconds of it per second of film.
        fit: how frames are fitted to the model's input, one of `FITS`; None for the model's own.
        image_size: model input in pixels, None for that of the gallery in `teach`, or the model's own.
        view: what to draw, one of `VIEWS`; None for the masks of a model that has some, else for labels.
        head: the dense head that masks are of; None for the model's first.
        headless: show no window.
        serve, token: where to serve a page that shows the run, and the token that it asks for.
        allow_host: names beside its own by which browsers may call this machine there, see `parse_host`.
        save, log: a video of what is shown, and a file of JSON lines.
        teach: a gallery's file: its names are recognised instead of the model's labels, and taught where there is a
            window or a page.
        save_masks: a folder for what the head says of each frame, as pictures.
        frames: stop after this many, None for all.
        fps_limit: most frames per second, None for no limit.
        stream: compute only what changed, where frames follow each other.
        sensitivity, patch_budget: as in `ChangeSettings`; None for its defaults.
        loop: start files over at their end.
        retry: seconds to wait for a camera that went away.
        min_confidence: show labels from this confidence on, 0..1; None for what the model says.
        threads: for the model; None for the number of big cores.
        snapshots: the folder for snapshots.

    Raises:
        VecaError: both a camera and a source are named.
    """

    model: Path | None = None
    camera: int | None = None
    source: str | None = None
    cores: Literal["auto", "all"] | tuple[int, ...] | None = None
    governor: str = "balanced"
    target_fps: float | None = None
    battery: float | None = None
    thermal: ThermalLevel | None = None
    low_power: bool = False
    trace: Path | None = None
    trace_speed: float = 1.0
    fit: str | None = None
    image_size: int | None = None
    view: str | None = None
    head: str | None = None
    headless: bool = False
    serve: Address | None = None
    token: str | None = None
    allow_host: tuple[str, ...] = ()
    save: Path | None = None
    log: Path | None = None
    teach: Path | None = None
    save_masks: Path | None = None
    frames: int | None = None
    fps_limit: float | None = None
    stream: bool = True
    sensitivity: float | None = None
    patch_budget: int | None = None
    loop: bool = False
    retry: float = 10.0
    min_confidence: float | None = None
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

    @property
    def is_drawn(self) -> bool:
        """Whether anyone sees what is drawn."""
        return not self.headless or self.serve is not None or self.save is not None

    @property
    def teaches(self) -> bool:
        """Whether anyone can teach names."""
        return self.teach is not None and (not self.headless or self.serve is not None)

    @property
    def shows_masks(self) -> bool:
        """Whether anyone can see the masks of a head."""
        seen = self.save is not None and self.view in (None, "masks")
        return not self.headless or self.serve is not None or seen

    def thins(self, fps: float | None) -> bool:
        """Whether frames of a source with this rate (None: unknown) are left out for the target."""
        return self.target_fps is not None and (fps is None or fps > FASTER * self.target_fps)

    def check_kinds(self) -> None:
        """Raise a VecaError if model and source are taken for each other."""
        if self.source is not None and looks_like_model(expanded(self.source)):
            name = quote(shortened(Path(self.source)))
            raise VecaError(f"{name} holds a model, not pictures: did you mean `veca-edge run {name}`?")
        if self.model is not None:
            self._check_model(self.model)

    def _check_model(self, model: Path) -> None:
        """Raise a VecaError if what was given as model names pictures or a film."""
        text = str(model)
        given = re.fullmatch(r"(?:--)?(source|camera)=(.*)", text)
        if given and not is_there(model):
            raise VecaError(f"there is no model {masked(text)}: did you mean --{given[1]} {masked(given[2])}?")
        if text.isdecimal() and not is_there(model):
            raise VecaError(f"there is no model {text}: did you mean --camera {text}?")
        if "://" in text or ":/" in text:
            raise VecaError(f"{masked(text)} is an address, not a model: did you mean --source?")
        if looks_like_source(expanded(model)):
            name = quote(shortened(model))
            raise VecaError(f"{name} holds pictures, not a model: did you mean --source {name}?")

    def check_there(self) -> None:
        """Raise a VecaError if the model or the source is a file that is not there."""
        if self.model is not None:
            existing(self.model)
        if self.trace is not None:
            existing(self.trace)
        if self.teach is not None and not self.teaches:
            existing(self.teach, "make it with `veca-edge teach --add`, in a window or with --serve")
        if self.source is not None:
            check_there(self.source)

    def check_sizes(self, budgets: tuple[int, ...], patch_size: int) -> None:
        """Raise a VecaError for cores or an image size that a model with these budgets and patches lacks."""
        for cores in self.cores if isinstance(self.cores, tuple) else ():
            checked_budget(cores, budgets)
        if self.image_size is not None:
            check_whole_patches(self.image_size, patch_size)

    def check_heads(self, tasks: Sequence[DenseTask]) -> str | None:
        """The head whose masks are shown and saved, of a model with these; None without any.

        Raises:
            VecaError: masks are asked for and there are none, or they cannot be saved.
        """
        names = [task.name for task in tasks]
        asked = "--view masks" if self.view == "masks" else self.given(("head", "save_masks"))
        if asked and not names:
            raise VecaError(
                f"{asked} needs a model with a dense head, and this one has none: make one with `veca-edge "
                "fit-head --task segmentation`, and convert what it writes"
            )
        if self.head is not None and self.head not in names:
            raise VecaError(f"this model has no head {shown(self.head)}: use {' or '.join(names)}")
        task = next((task for task in tasks if self.head in (None, task.name)), None)
        if self.save_masks is not None and task is not None:
            check_saved(task)
        return None if task is None else task.name

    def check_outputs(self) -> None:
        """Raise a VecaError for outputs that cannot be written or would overwrite an input."""
        if self.save is not None:
            check_video_path(self.save)
        if self.save_masks is not None:
            check_mask_folder(self.save_masks)
        if self.teach is not None:
            check_ending(self.teach, A_GALLERY)
        named = {"save": self.save, "log": self.log, "teach": self.teach if self.teaches else None}
        outputs = {name: check_target(path) for name, path in named.items() if path is not None}
        for one, other in combinations(outputs, 2):
            if same_file(outputs[one], outputs[other]):
                raise VecaError(f"--{one} and --{other} both name {outputs[one]}: choose two names")
        recognised = None if self.teaches else self.teach
        given = (self.model, self.source, self.trace, recognised)
        inputs = [Path(name) for name in given if name is not None]
        for name, target in outputs.items():
            taken = target.exists()
            if any(same_file(target, path) or (taken and same_file(target.parent, path)) for path in inputs):
                raise VecaError(f"--{name} {target} would overwrite an input: choose another name")

    def governs(self, model: Model, streams: bool) -> bool:
        """Whether the governor chooses: by default if the model file says what its operating points are worth.

        Args:
            streams: whether frames are streamed.

        Raises:
            VecaError: auto is asked for and impossible, or an option contradicts it.
        """
        can = streams and model.quality is not None
        if self.cores == "auto" and not streams:
            raise VecaError("--cores auto needs a video or a camera, and --stream: give a number of cores instead")
        asked = "--cores auto" if self.cores == "auto" else self.given(FOR_AUTO) if self.cores is None else ""
        if asked and streams and not can:
            raise VecaError(
                f"{asked} needs a file with a quality table: convert the checkpoint with `veca-edge convert`"
            )
        fixed = self.given(FOR_FIXED)
        if self.cores == "auto" and fixed:
            raise VecaError(f"{fixed} needs a fixed --cores: with auto the governor chooses it")
        return can and not fixed and self.cores in (None, "auto")

    def assumed(self) -> str:
        """What is assumed of the device, in words; "" for nothing."""
        words = [] if self.battery is None else [f"battery {100 * self.battery:.0f} %"]
        words += [] if self.thermal is None else [f"heat {self.thermal}"]
        words += [] if self.trace is None else [f"what {shortened(self.trace)} says"]
        return ", ".join([*words, *(["low-power mode"] if self.low_power else [])])

    def fixed_by(self) -> str:
        """The option that fixes how it runs, so that the governor does not choose; "" if none does."""
        if isinstance(self.cores, tuple) or self.cores == "all":
            return "--cores"
        return self.given(FOR_FIXED)

    def given(self, names: tuple[str, ...]) -> str:
        """The first of these options that differs from its default, as it is spelled; "" if none does."""
        return next(iter(given_options(self, names)), "")
