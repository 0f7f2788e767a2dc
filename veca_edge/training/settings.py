"""A training recipe: every setting, what it means and what it may be. No torch here.

Recipes are TOML files; `recipes/` holds the ones that come with the package. What a file leaves out keeps its
default, and `tables.render` writes a recipe with every setting explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from veca_edge.documents import MAX_TOML, parse_toml
from veca_edge.errors import VecaError, shown
from veca_edge.files import existing, regular_file
from veca_edge.model.config import MLP_RATIO, VecaConfig
from veca_edge.training.tables import flat, plain, read_table, setting

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True)
class Phase:
    """A stretch of training, and the image sizes (pixels) and budgets from which each of its steps draws one."""

    share: float = setting(1.0, "part of all steps, relative to the other phases", 1e-6)
    sizes: tuple[int, ...] = setting((128,), "pixels, multiples of the patch size", 1, 4096)
    cores: tuple[int, ...] = setting((), "budgets; empty for all of them; few cores are quicker to train", 1)
    patches: float = setting(
        1.0, "share of each view's patches that the student sees, drawn anew at every step", 0.01, 1
    )
    compile: bool = setting(False, "use torch.compile: minutes for each size and budget, then faster steps")


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of a new model; with --init those of the checkpoint are used."""

    hidden_dim: int = setting(192, "width of every token", 4)
    num_heads: int = setting(3, "attention heads", 1)
    num_layers: int = setting(8, "blocks", 1)
    mlp_ratio: float = setting(MLP_RATIO, "hidden width of the gated MLP, relative to hidden_dim", 0.1)
    patch_size: int = setting(16, "side of a patch, pixels", 1)
    num_cores: int = setting(64, "core tokens; every multiple of chunk_size up to here is a budget", 1)
    chunk_size: int = setting(8, "cores come in chunks of this many", 1)
    rope_shift: float = setting(0.08, "positions are shifted by up to this; 0 for never", 0, 2)
    rope_jitter: float = setting(1.0, "positions are scaled per axis by up to this factor; 1 for never", 1, 8)
    rope_rescale: float = setting(2.0, "positions are scaled by up to this factor; 1 for never", 1, 8)
    stochastic_depth: float = setting(
        0.0, "share of views that skip the last block, also with --init; fewer skip those before", 0, 0.9
    )


@dataclass(frozen=True)
class AugmentSettings:
    """How a photo becomes a training view. Draws are uniform unless stated otherwise."""

    crop_area: float = setting(
        0.25, "smallest share of a photo's area that a view shows; 1 for the whole photo", 0.01, 1
    )
    crop_aspect: float = setting(1.333, "most elongated crop, width to height or height to width", 1, 4)
    mirror: bool = setting(True, "mirror half of all views")
    brightness: float = setting(0.3, "factor 1 ± this", 0, 1)
    contrast: float = setting(0.3, "factor 1 ± this", 0, 1)
    saturation: float = setting(0.3, "factor 1 ± this", 0, 1)
    mixup: float = setting(0.0, "share of views that are blended with another photo's", 0, 1)
    mixup_alpha: float = setting(0.8, "parameter of the Beta distribution of the blend", 0.01, 10)
    cutmix: float = setting(0.0, "share of views in which a rectangle comes from another photo", 0, 1)
    rotate: float = setting(0.0, "views are turned by up to so many degrees, either way", 0, 180)
    blur: float = setting(0.0, "largest deviation of a Gaussian blur, pixels of the view", 0, 100)
    noise: float = setting(0.0, "largest deviation of Gaussian noise, of a range of 0..1", 0, 1)
    erase: float = setting(0.0, "share of views in which a rectangle of 2 to 25 % is erased", 0, 1)

    def unmixed(self) -> AugmentSettings:
        """The same, every view of one photo alone."""
        return replace(self, mixup=0.0, cutmix=0.0)


@dataclass(frozen=True)
class LossSettings:
    """Weights of the losses that are added up. All but `labels` and `masks` need a teacher."""

    labels: float = setting(1.0, "cross entropy of the head")
    label_smoothing: float = setting(0.1, "share of each label's weight that is spread over all labels", 0, 0.9)
    embedding: float = setting(1.0, "1 - cosine to the teacher's embedding")
    patches: float = setting(1.0, "1 - cosine to the teacher's patch features")
    patches_mse: float = setting(1.0, "mean squared difference to the teacher's patch features")
    soft_labels: float = setting(0.0, "divergence from the teacher's probabilities, if it returns logits")
    masks: float = setting(1.0, "cross entropy and overlap of a dense head's classes, or errors of its values")


@dataclass(frozen=True)
class MaskSettings:
    """A dense head that learns along, from the photos with masks or values of --masks."""

    name: str = setting("", "of the head; empty for the name of the folder")
    cells: int = setting(2, "results along a patch's side", 1, 16)
    batch_size: int = setting(16, "views per step, over all processes", 1)
    paste: float = setting(
        0.0, "share of views whose things, all but the class background, are cut out and put on another photo", 0, 1
    )
    paste_scale: float = setting(0.3, "smallest scale of a photo whose things are put on another", 0.05, 1)
    rate: float = setting(10.0, "learning rate of the head, relative to the model's", 0, 1000)
    photo_size: int = setting(384, "side of the squares of pixels in which they are kept in memory", 8, 4096)
    size: int = setting(256, "pixels of their views, a multiple of the patch size", 1, 4096)


@dataclass(frozen=True)
class TeacherSettings:
    """The teacher, and the views that it sees."""

    source: str = setting("", "an .npz of MobileNetV2, or code: a .pt2 program, module:callable; empty for none")
    image_size: int = setting(0, "pixels to which views are resized for the teacher; 0 for no resizing", 0, 4096)
    views: int = setting(
        0,
        "run the teacher once before training, on so many views of each photo; 0 to run it at every step",
        0,
        1000,
    )
    tune_epochs: int = setting(0, "epochs for which the teacher is first fine-tuned on the labels", 0, 10_000)
    tune_lr: float = setting(5e-4, "learning rate of the fine-tuning, AdamW with a cosine schedule", 1e-7, 1)

    @property
    def is_code(self) -> bool:
        """Whether the teacher is executed: everything but the weights of a MobileNetV2."""
        return bool(self.source) and not self.source.endswith(".npz")


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW with linear warm-up and a cosine schedule."""

    lr: float = setting(1e-3, "highest learning rate", 1e-8, 1)
    final_lr: float = setting(0.01, "last learning rate, relative to the highest", 0, 1)
    warmup: float = setting(0.05, "share of all steps that are warm-up", 0, 1)
    beta1: float = setting(0.9, "decay of the mean of the gradients", 0, 0.9999)
    beta2: float = setting(0.98, "decay of the mean of the squared gradients", 0, 0.99999)
    weight_decay: float = setting(
        0.05, "weight decay of matrices; biases, norms, core tokens and positions have none", 0, 1
    )
    clip: float = setting(1.0, "largest norm of the gradient; 0 for no limit")
    ema: float = setting(
        0.999, "decay of the averaged weights, which become the checkpoint; 0 for no average", 0, 0.99999
    )


@dataclass(frozen=True)
class ValidationSettings:
    """How the averaged weights are evaluated on the `val` photos."""

    every_epochs: float = setting(20.0, "epochs between validations; the last step is always followed by one", 0.01)
    cores: tuple[int, ...] = setting((8, 32, 64), "budgets", 1)
    sizes: tuple[int, ...] = setting((), "pixels; empty for every size that is trained", 1, 4096)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is trained. Equal recipes on equal data take equal steps."""

    epochs: float = setting(40.0, "passes over the photos", 0.001)
    batch_size: int = setting(128, "photos per step, over all processes", 1)
    micro_batch: int = setting(
        0, "most photos at once per process at the smallest size (fewer at larger ones, by area); 0 for no limit", 0
    )
    photo_size: int = setting(288, "side of the squares of pixels in which photos are kept in memory", 8, 4096)
    image_size: int = setting(
        0, "pixels, the image size that the checkpoint states; 0 for the largest that is trained", 0, 4096
    )
    seed: int = setting(0, "seed of every random draw", 0, 2**31 - 1)
    precision: str = setting("auto", "bf16, fp32, or auto: bf16 on a GPU, fp32 elsewhere")
    log_every: int = setting(20, "steps per line of the log", 1)
    save_minutes: float = setting(2.0, "minutes between saves of the state; 0 to save after every step")
    phases: tuple[Phase, ...] = field(
        default=(Phase(),), metadata={"doc": "stretches of training, one after the other", "least": 0, "most": 0}
    )
    model: ModelSettings = field(default_factory=ModelSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise VecaError(f"precision is {shown(self.precision)}: use one of {', '.join(PRECISIONS)}")
        if not self.phases or not all(phase.sizes for phase in self.phases):
            raise VecaError("phases: give at least one phase, each with at least one size")
        if not self.validation.cores:
            raise VecaError("validation.cores: give at least one budget")
        if self.augment.mixup + self.augment.cutmix > 1:
            raise VecaError("augment.mixup and augment.cutmix are shares of the views: their sum must be at most 1")
        if self.optimizer.warmup >= 1:
            raise VecaError("optimizer.warmup is a share of all steps: it must be below 1")

    @property
    def train_sizes(self) -> tuple[int, ...]:
        """Every image size of any phase, rising."""
        return tuple(sorted({size for phase in self.phases for size in phase.sizes}))

    @property
    def validation_sizes(self) -> tuple[int, ...]:
        return self.validation.sizes or self.train_sizes

    def model_config(self) -> VecaConfig:
        """The sizes of a new model; VecaError for impossible ones."""
        model = self.model
        return VecaConfig.from_family(
            "small",
            hidden_dim=model.hidden_dim,
            num_heads=model.num_heads,
            num_layers=model.num_layers,
            ffn_dim=int(model.hidden_dim * model.mlp_ratio),
            patch_size=model.patch_size,
            num_cores=model.num_cores,
            chunk_size=model.chunk_size,
            rope_shift=model.rope_shift or None,
            rope_jitter=model.rope_jitter if model.rope_jitter > 1 else None,
            rope_rescale=model.rope_rescale if model.rope_rescale > 1 else None,
        )

    def check_model(self, config: VecaConfig) -> None:
        """Raise VecaError for sizes or budgets that this model cannot take."""
        for size in (*self.train_sizes, *self.validation_sizes, *([self.image_size] if self.image_size else [])):
            config.patch_grid(size, size)
        for cores in (*self.validation.cores, *(cores for phase in self.phases for cores in phase.cores)):
            config.check_cores(cores)


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(Path(entry.name).stem for entry in _recipes().iterdir() if entry.name.endswith(".toml"))


def load_recipe(source: str | None, assignments: Sequence[str] = ()) -> Recipe:
    """A recipe from a file, with some settings changed.

    Args:
        source: the name of a recipe of the package, or the path of a TOML file; None for the defaults.
        assignments: "name=value" each, such as "optimizer.lr=2e-3" or "phases=[{share=1, sizes=[128]}]".

    Raises:
        VecaError: no such file, no TOML, an unknown name, or a value that is not allowed.
    """
    values = _read_toml(source) if source else {}
    for assignment in assignments:
        _assign(values, assignment)
    return read_table(Recipe, values)


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Names of the settings by which two recipes train differently."""
    # How often a run is logged or saved makes no difference to its weights.
    new = replace(new, log_every=old.log_every, save_minutes=old.save_minutes)
    a, b = flat(plain(old)), flat(plain(new))
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def _read_toml(source: str) -> dict[str, Any]:
    advice = f"give a TOML file or one of {', '.join(recipe_names())}"
    file = _recipes() / f"{source}.toml" if source in recipe_names() else existing(source, advice)
    try:
        with regular_file(file).open("rb") as stream:
            data = stream.read(MAX_TOML + 1)
    except OSError as error:
        raise VecaError(f"cannot read {source}: {error.strerror or error}: {advice}") from None
    try:
        return parse_toml(data)
    except VecaError as error:
        raise VecaError(f"recipe {source} {error}") from None


def _assign(values: dict[str, Any], assignment: str) -> None:
    name, equals, text = assignment.partition("=")
    if not equals or not name.strip():
        raise VecaError(f"--set {assignment}: give name=value, such as optimizer.lr=2e-3")
    *path, last = name.strip().split(".")
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise VecaError(f"--set {assignment}: {part} is not a table of settings")
    try:
        values[last] = parse_toml(f"value = {text.strip()}".encode(errors="surrogateescape"))["value"]
    except VecaError:
        values[last] = text.strip()  # a name or a path without quotes


def _recipes() -> Any:
    return resources.files("veca_edge.training") / "recipes"
