"""`veca-edge match`: corresponding places in two pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.models import open_model
from veca_edge.cli.options import Count, InputPath, Number, RenamedOption, moved_to_argument, path_option
from veca_edge.encoding import visible
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file
from veca_edge.numbers import counted

if TYPE_CHECKING:
    from veca_edge.runtime.matching import Matches

EPILOG = """\b
Examples:
  veca-edge match shelf-1.jpg shelf-2.jpg --min-similarity 0.7 --save matches.png
  veca-edge match veca.pte shelf-1.jpg shelf-2.jpg --cores 8 --json
"""
SIZE = 256  # pixels: as many patches as the streams' default


@dataclass(frozen=True)
class MatchRequest:
    """What to compare.

    Attributes:
        first, second: image files.
        model: a model file; None for the packaged model.
        cores: core budget; None for the largest.
        image_size: side of the model's input in pixels.
        most: matches to keep, the most similar first.
        min_similarity: cosine below which two patches do not match, -1..1.
        save: a PNG file to draw them to.
    """

    first: Path
    second: Path
    model: Path | None
    cores: int | None
    image_size: int
    most: int
    min_similarity: float
    save: Path | None


@click.command("match", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, metavar="[MODEL] FIRST SECOND", type=InputPath())
@moved_to_argument("--model", "MODEL")
@click.option("--cores", type=Count(min=1), show_default="the largest", help="Set the core budget.")
@click.option(
    "--image-size",
    type=Count(min=1),
    default=SIZE,
    show_default=True,
    help="Set the size of the model's input in pixels, a multiple of the patch size.",
)
@click.option("--most", type=Count(min=1), default=60, show_default=True, help="Keep this many matches.")
@click.option(
    "--min-similarity",
    cls=RenamedOption,
    was="--least",
    type=Number(-1, 1),
    default=0.0,
    show_default=True,
    help="Leave out matches with a smaller cosine similarity.",
)
@path_option("--save", metavar="PNG", help="Draw the matches to a PNG file.")
@click.option("--json", "as_json", is_flag=True, help="Print the matches as JSON.")
def command(as_json: bool, paths: tuple[Path, ...], formerly_model: Path | None, **given: Any) -> None:
    """Find places in two pictures that look alike.

    Patches of FIRST and SECOND match if each is the most similar patch to the other, by the cosine of their
    features. Without MODEL, a .pte file, the one that comes with the package is used.
    """
    if len(paths) not in (2, 3):
        raise click.UsageError(f"name two pictures, with or without a model before them; got {len(paths)} names")
    if len(paths) == 3 and formerly_model is not None:
        raise VecaError("--model and MODEL both name a model: give one of them")
    model = paths[0] if len(paths) == 3 else formerly_model
    request = MatchRequest(paths[-2], paths[-1], model, **given)
    if request.save is not None and check_target(request.save).suffix.lower() != ".png":
        raise VecaError(f"cannot draw to {request.save.name}: use a name that ends in .png")
    if request.save is not None and any(same_file(request.save, path) for path in paths):
        raise VecaError(f"--save {request.save} would overwrite an input: choose another name")
    matches = _match(request)
    click.echo(_as_json(matches, request.most) if as_json else _as_text(matches, request))


def _match(request: MatchRequest) -> Matches:
    from veca_edge.image.stills import read_image
    from veca_edge.playback.matches import draw_matches
    from veca_edge.playback.writers import save_png
    from veca_edge.runtime.matching import match_patches

    require("cv2", "run")
    images = read_image(request.first), read_image(request.second)
    model = open_model(request.model)
    first, second = (model(image, request.cores, request.image_size) for image in images)
    matches = match_patches(first, second, request.min_similarity)
    if request.save is not None:
        save_png(request.save, draw_matches(*images, matches.first[: request.most], matches.second[: request.most]))
    return matches


def _as_json(matches: Matches, most: int) -> str:
    rows = zip(matches.first.tolist(), matches.second.tolist(), matches.similarity.tolist(), strict=True)
    kept = [{"first": a, "second": b, "similarity": s} for a, b, s in list(rows)[:most]]
    return json.dumps({"kind": "matches", "all": len(matches), "matches": kept}, indent=2)


def _as_text(matches: Matches, request: MatchRequest) -> str:
    kept = matches.similarity[: request.most]
    best = f", similarity {kept[-1]:.2f} to {kept[0]:.2f}" if len(kept) else ""
    drawn = "" if request.save is None else f"\ndrawn to {visible(str(request.save))}"
    return f"{counted(len(matches), 'match')}, kept {len(kept)}{best}{drawn}"
