"""`veca-edge teach`: name your own things with a handful of examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.models import open_model
from veca_edge.cli.options import Count, InputPath, OutputPath, model_option, path_option, threads_option
from veca_edge.cli.parsing import parse_numbers
from veca_edge.cli.progress import Stages, command_line, echo_lines, next_step, say
from veca_edge.cli.tables import recognition_lines
from veca_edge.encoding import visible
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, expanded, is_folder, is_there
from veca_edge.numbers import counted
from veca_edge.requests import given_options
from veca_edge.tables import Table

if TYPE_CHECKING:
    from veca_edge.arrays import Image
    from veca_edge.gallery.gallery import Gallery
    from veca_edge.runtime.model import Model
    from veca_edge.runtime.result import Result

EPILOG = """\b
Examples:
  veca-edge teach my-things.npz --add mug photos/mug/*.jpg     # some photos of your mug
  veca-edge teach my-things.npz --add keys photos/keys/        # all photos in a folder
  veca-edge teach my-things.npz --add logo shelf.jpg --box 40,60,200,120
  veca-edge teach my-things.npz --ask desk.jpg                 # which of your things is this?
  veca-edge teach my-things.npz --list
  veca-edge teach my-things.npz --remove keys
  veca-edge teach my-things.npz --evaluate photos/             # photos/mug/, photos/keys/, photos/something-else/

\b
Nothing is trained, and the model file does not change: the gallery holds a vector for each example. It goes with
every file made from the same checkpoint, and what was taught with all cores is recognised with 8. It keeps the
image size that it was taught at: this command and `veca-edge run` use that unless you give --image-size.
"""
ACTIONS = ("add", "ask", "list", "remove", "evaluate")
MATCHES = 3  # of a photo that are printed
FEW = 8  # photos that take no time worth reporting


@dataclass(frozen=True)
class TeachRequest:
    """What to do with which gallery.

    Attributes:
        gallery: its file.
        photos: files, or folders of them, to add or to ask about.
        add: the label of the examples that are added.
        ask: whether to say what the photos show.
        list: whether to list the labels.
        remove: a label that is removed.
        evaluate: a folder of photos in folders named after their labels.
        box: x, y, width and height in pixels of the photo, of a thing in it; None for the whole photo.
        model: a checkpoint, a .pte file or a Core ML package; None for the packaged model.
        cores, threads: as in a call of the model, and as `load` takes them.
        image_size: as in a call of the model; None for that of the gallery, if it has one.

    Raises:
        VecaError: not one action, or options that do not go with it.
    """

    gallery: Path
    photos: tuple[Path, ...] = ()
    add: str | None = None
    ask: bool = False
    list: bool = False
    remove: str | None = None
    evaluate: Path | None = None
    box: tuple[float, ...] | None = None
    model: Path | None = None
    cores: int | None = None
    image_size: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        actions = given_options(self, ACTIONS)
        if len(actions) != 1:
            said = " and ".join(actions) or "nothing to do"
            raise VecaError(f"{said}: give one of --{', --'.join(ACTIONS)}")
        looks = self.add is not None or self.ask
        if looks and not self.photos:
            raise VecaError(f"{actions[0]} needs photos: name files or folders of them")
        if self.photos and not looks:
            raise VecaError(f"{actions[0]} takes no photos: leave {self.photos[0]} out")
        if self.box is not None and not looks:
            raise VecaError(f"{actions[0]} takes no --box: leave it out")
        needless = given_options(self, ("cores", "image_size", "threads"))
        if needless and (self.list or self.remove is not None):
            raise VecaError(f"{actions[0]} runs no model: leave {' and '.join(needless)} out")


def parse_box(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """A box such as "40,60,200,120", or None."""
    if text is None:
        return None
    numbers = parse_numbers(text)
    if len(numbers) != 4:
        raise click.BadParameter(f"{text!r}: give x, y, width and height in pixels, such as 40,60,200,120")
    return numbers


@click.command("teach", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("gallery", type=OutputPath())
@click.argument("photos", nargs=-1, type=InputPath())
@click.option("--add", metavar="LABEL", help="Add the photos as examples of LABEL.")
@click.option("--ask", is_flag=True, help="Say what the photos show.")
@click.option("--list", is_flag=True, help="List the labels and how many examples each has.")
@click.option("--remove", metavar="LABEL", help="Remove LABEL and its examples.")
@path_option(
    "--evaluate",
    is_input=True,
    metavar="DIR",
    help="Measure what is recognised of the photos in this folder, which lie in folders named after their labels; "
    "those of labels that the gallery does not have should get no name. Use others than those that were taught.",
)
@click.option(
    "--box",
    callback=parse_box,
    metavar="X,Y,W,H",
    show_default="the whole photo",
    help="Add or ask about this part of the photo, in its pixels. Boxes are compared with boxes only.",
)
@model_option()
@click.option("--cores", type=Count(min=1), show_default="the largest", help="Set the core budget.")
@click.option(
    "--image-size",
    type=Count(min=1),
    show_default="the gallery's, or the model's for a new one",
    help="Set the size of the model's input in pixels, a multiple of the patch size.",
)
@threads_option()
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """Name your own things with a handful of examples; nothing is trained.

    GALLERY is the file that holds them, my-things.npz, say; --add makes it. PHOTOS are files or folders of them,
    without their sub-folders.
    """
    values, lines, hint = _done(TeachRequest(**given))
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    echo_lines(lines)
    if hint:
        next_step(hint)


Outcome = tuple[dict[str, Any], list[str], str]  # for JSON, for people, and what comes next


def _done(request: TeachRequest) -> Outcome:
    """Do what is asked for."""
    from veca_edge.gallery.archive import check_ending
    from veca_edge.gallery.file import A_GALLERY
    from veca_edge.gallery.gallery import Gallery, checked_label

    path = expanded(request.gallery)
    if request.add is not None:
        checked_label(request.add)
        check_target(path)
        check_ending(path, A_GALLERY)
    elif not is_there(path):
        raise VecaError(f"{path}: no such file: teach it something first with --add LABEL PHOTO")
    before = Gallery.load(path) if is_there(path) else None
    if request.list:
        assert before is not None
        return _listed(before, path, request)
    if request.remove is not None:
        assert before is not None
        after = before.remove(request.remove).save(path, before)
        return _changed(after, path, f"removed {request.remove}", command_line("teach", path, "--list"))
    require("cv2", "run")
    with open_model(request.model, request.threads) as model:
        gallery = Gallery.of(model) if before is None else Gallery.load(path, model)
        request = _sized(request, gallery)
        if request.add is not None:
            return _added(gallery, request, model, path)
        if request.ask:
            return _asked(gallery, request, model, path)
        return _evaluated(gallery, request, model)


def _sized(request: TeachRequest, gallery: Gallery) -> TeachRequest:
    """The request at the gallery's image size unless it has another, which is said."""
    if request.image_size is None:
        return replace(request, image_size=gallery.image_size)
    if remark := gallery.size_remark(request.image_size):
        say(remark)
    return request


def _results(request: TeachRequest, model: Model) -> Iterator[tuple[Path, Result]]:
    """What the model says of each photo that can be read."""
    from veca_edge.image.stills import images_in
    from veca_edge.photos.decoding import readable

    paths = [found for path in request.photos for found in (images_in(path) if is_folder(path) else [path])]

    def whole(image: Image) -> Image:
        return image

    report = Stages()
    for index, image in readable(paths, whole, say):
        yield paths[index], model(image, request.cores, request.image_size)
        if len(paths) > FEW:
            report("computing", (index + 1) / len(paths))


def _added(gallery: Gallery, request: TeachRequest, model: Model, path: Path) -> Outcome:
    label = request.add or ""
    after, photos = gallery, 0
    for _, result in _results(request, model):
        after, photos = after.add(label, result, request.box), photos + 1
    if not photos:
        raise VecaError(f"none of the photos of {label} can be read: nothing is added")
    new = len(after) - len(gallery)
    known = f", {photos - new} of them taught already" if new < photos else ""
    after = after.save(path, gallery)
    what = f"{counted(photos, 'photo')} of {label}{known}"
    return _changed(after, path, what, _ask_hint(path, request))


def _ask_hint(path: Path, request: TeachRequest) -> str:
    """The command that asks, about a box after one was taught."""
    box = () if request.box is None else ("--box", ",".join(f"{number:g}" for number in request.box))
    model = () if request.model is None else ("--model", request.model)
    return command_line("teach", path, "--ask", "photo.jpg", *box, *model)


def _asked(gallery: Gallery, request: TeachRequest, model: Model, gallery_path: Path) -> Outcome:
    from veca_edge.gallery.gallery import UNKNOWN

    region = request.box is not None
    _check_taught(gallery, gallery_path, region)
    found, rows = [], []
    for path, result in _results(request, model):
        matches = gallery.predict(result, request.box, MATCHES)
        found.append({"path": str(path), "matches": [vars(match) for match in matches]})
        best = matches[0].name if matches else UNKNOWN
        alike = ", ".join(f"{match.label} {match.similarity:.2f}" for match in matches)
        rows.append((visible(str(path)), best, alike))
    if not rows:
        raise VecaError("none of the photos can be read")
    threshold = gallery.threshold(region)
    lines = list(Table(("photo", "this is", "similarity"), tuple(rows), words=3).lines())
    lines.append(f"  a name is given from a similarity of {threshold:.2f} on")
    hint = "" if region else command_line("run", request.model, "--camera", 0, "--teach", gallery_path)
    return {"kind": "answers", "threshold": threshold, "photos": found}, lines, hint


def _check_taught(gallery: Gallery, path: Path, region: bool) -> None:
    """Raise a VecaError if nothing can be recognised: boxes are compared with boxes, photos with photos."""
    if not any(example.region == region for example in gallery.examples):
        kind, box = ("boxes", " --box X,Y,W,H") if region else ("whole photos", "")
        raise VecaError(f"{path} has no examples of {kind}: teach it some first with --add LABEL PHOTO{box}")


def _evaluated(gallery: Gallery, request: TeachRequest, model: Model) -> Outcome:
    from veca_edge.calibration.quality.recognition import recognise, totals

    assert request.evaluate is not None
    report = partial(Stages(), "computing")
    rows = recognise(gallery, model, request.evaluate, request.cores, request.image_size, say, report)
    sums = totals(rows)
    values = {"kind": "recognition", **sums, "labels": [vars(row) for row in rows]}
    return values, list(recognition_lines(rows, sums)), ""


def _listed(gallery: Gallery, path: Path, request: TeachRequest) -> Outcome:
    rows = tuple((label, str(count)) for label, count in gallery.labels.items())
    lines = list(Table(("label", "examples"), rows, words=1).lines()) if rows else [f"{path} is empty"]
    hint = _ask_hint(path, request) if rows else command_line("teach", path, "--add", "LABEL", "photo.jpg")
    return _values(gallery, path), lines, hint


def _changed(gallery: Gallery, path: Path, what: str, hint: str) -> Outcome:
    labels, examples = counted(len(gallery.labels), "label"), counted(len(gallery), "example")
    return _values(gallery, path), [f"{what}; {path} holds {labels}, {examples}"], hint


def _values(gallery: Gallery, path: Path) -> dict[str, Any]:
    return {"kind": "gallery", "path": str(path), "model": gallery.model, "labels": dict(gallery.labels)}
