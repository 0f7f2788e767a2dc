"""`veca-edge search`: the pictures of an index that are most like one, or nearly the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.models import open_model
from veca_edge.cli.options import Count, InputPath, Number, model_option, path_option
from veca_edge.cli.progress import Stages, command_line, next_step, say
from veca_edge.encoding import visible
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target, same_file
from veca_edge.gallery.pictures import NEAR, PictureIndex, SimilarPicture
from veca_edge.numbers import counted

if TYPE_CHECKING:
    from veca_edge.playback.contact_sheet import Tile
    from veca_edge.runtime.result import Result

EPILOG = """\b
Examples:
  veca-edge search photos.npz photo.jpg
  veca-edge search photos.npz photo.jpg --top 5 --plot sheet.png
  veca-edge search photos.npz --duplicates                           # nearly the same, in groups
  veca-edge search photos.npz --duplicates --min-similarity 0.95 --json

`veca-edge index photos/ --output photos.npz` makes the index.
"""
TOP = 20
Groups = Sequence[Sequence[SimilarPicture]]


@dataclass(frozen=True)
class SearchRequest:
    """What to look for.

    Attributes:
        index: a file of `veca-edge index`.
        picture: an image file; None for groups of pictures that are nearly the same.
        model: the model that made the index; None for the packaged one.
        top: pictures at most.
        min_similarity: cosine below which pictures are left out, -1..1; None for all, or for those nearly the same.
        plot: a PNG file for a contact sheet.
    """

    index: Path
    picture: Path | None
    model: Path | None = None
    top: int | None = None
    min_similarity: float | None = None
    plot: Path | None = None


@click.command("search", epilog=EPILOG)
@click.argument("index", type=InputPath())
@click.argument("picture", required=False, type=InputPath())
@click.option(
    "--duplicates", is_flag=True, help="List groups of pictures that are nearly the same, such as one saved twice."
)
@model_option("Use the model that made the index.")
@click.option("--top", type=Count(min=1), show_default=str(TOP), help="Show this many pictures.")
@click.option(
    "--min-similarity",
    type=Number(-1, 1),
    show_default=f"-1; {NEAR} with --duplicates",
    help="Leave out pictures that are less similar than this, a cosine.",
)
@path_option("--plot", help="Draw the pictures as a contact sheet (.png).")
@click.option("--json", "as_json", is_flag=True, help="Print the pictures as JSON.")
def command(duplicates: bool, as_json: bool, **given: Any) -> None:
    """Find the pictures that are most like one, or those that are nearly the same.

    INDEX is what `veca-edge index` wrote. Prints the similarity, the cosine of two embeddings, and the file, the
    most similar first. With --duplicates the first picture of each group is the one that the others are like.
    """
    request = SearchRequest(**given)
    _check(request, duplicates)
    index = PictureIndex.load(request.index)
    if not len(index):
        raise VecaError(f"{request.index} holds no pictures: run `veca-edge index` on a folder that has some")
    groups, seconds = _groups(index, request)
    if request.plot is not None:
        _draw(request, index, groups)
    if as_json:
        click.echo(json.dumps(_plain(request, index, groups, seconds), indent=2))
    else:
        _print(request, groups)


def _check(request: SearchRequest, duplicates: bool) -> None:
    if duplicates and request.picture is not None:
        raise click.UsageError(f"--duplicates compares what is in the index: leave {request.picture} out")
    if not duplicates and request.picture is None:
        raise click.UsageError("name the picture to search for, or give --duplicates")
    for name in ("top", "model"):
        if duplicates and getattr(request, name) is not None:
            raise click.UsageError(f"--duplicates compares what is in the index: leave --{name} out")
    if request.plot is None:
        return
    require("cv2", "run")
    if check_target(request.plot).suffix.lower() != ".png":
        raise VecaError(f"cannot draw to {request.plot.name}: use a name that ends in .png")
    if any(path is not None and same_file(request.plot, path) for path in (request.index, request.picture)):
        raise VecaError(f"--plot {request.plot} would overwrite an input: choose another name")


def _least(request: SearchRequest) -> float:
    if request.min_similarity is not None:
        return request.min_similarity
    return NEAR if request.picture is None else -1.0


def _groups(index: PictureIndex, request: SearchRequest) -> tuple[Groups, float]:
    """Duplicates, or the pictures that are like one as the only group; and the seconds it took to find them."""
    least = _least(request)
    if request.picture is None:
        start, progress = perf_counter(), partial(Stages(), "comparing")
        return index.duplicates(least, progress), perf_counter() - start
    result = _embedded(request.picture, index, request.model)
    start = perf_counter()
    return (index.search(result, request.top or TOP, least),), perf_counter() - start


def _embedded(picture: Path, index: PictureIndex, path: Path | None) -> Result:
    """What the model that made the index says about a picture."""
    require("cv2", "run")
    from veca_edge.image.stills import read_image

    image, model = read_image(picture), open_model(path)
    index.check_model(model)
    return model(image, index.made_with.cores, index.made_with.image_size)


def _draw(request: SearchRequest, index: PictureIndex, groups: Groups) -> None:
    from veca_edge.playback.contact_sheet import MOST, Tile, contact_sheet
    from veca_edge.playback.writers import save_png

    assert request.plot is not None
    tiles = [[_tile(found, index) for found in group] for group in groups]
    if request.picture is not None:
        tiles[0].insert(0, Tile(request.picture, "looked for", request.picture.name))
    if not sum(map(len, tiles)):
        say("no pictures to draw")
        return
    save_png(request.plot, contact_sheet(tiles))
    rest = sum(map(len, tiles)) - MOST
    say(f"wrote {request.plot}" + (f", without the last {counted(rest, 'picture')}" if rest > 0 else ""))


def _tile(found: SimilarPicture, index: PictureIndex) -> Tile:
    from veca_edge.playback.contact_sheet import Tile

    return Tile(found.path, f"{found.similarity:.2f}", found.path.relative_to(index.folder).as_posix())


def _plain(request: SearchRequest, index: PictureIndex, groups: Groups, seconds: float) -> dict[str, Any]:
    """The answer as plain values, ready for JSON."""
    lists = [[{"path": str(found.path), "similarity": found.similarity} for found in group] for group in groups]
    common = {"pictures": len(index), "seconds": seconds, "min_similarity": _least(request)}
    if request.picture is None:
        return {"kind": "duplicates", **common, "groups": lists}
    return {"kind": "similar pictures", "query": str(request.picture), **common, "matches": lists[0]}


def _print(request: SearchRequest, groups: Groups) -> None:
    for number, group in enumerate(groups):
        if number:
            click.echo()
        for found in group:
            click.echo(f"{found.similarity:.3f}  {visible(str(found.path))}")
    if request.picture is None:
        click.echo(_counted(groups, _least(request)), err=True)
    elif not groups[0]:
        say(f"no picture has a similarity of {_least(request):g} or more: lower --min-similarity")
    if request.plot is None and any(groups):
        what = ("--duplicates",) if request.picture is None else (request.picture,)
        model = () if request.model is None else ("--model", request.model)
        next_step(command_line("search", request.index, *what, *model, "--plot", "sheet.png"))


def _counted(groups: Groups, least: float) -> str:
    if not groups:
        return f"no pictures have a similarity of {least:g} or more: lower --min-similarity to see what comes next"
    found = f"{counted(len(groups), 'group')}, {counted(sum(map(len, groups)), 'picture')}"
    return f"{found}, with a similarity of {least:g} or more to the first of the group"
