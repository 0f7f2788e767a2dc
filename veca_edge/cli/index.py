"""`veca-edge index`: the embeddings of a folder of pictures."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.models import open_model
from veca_edge.cli.options import Count, InputPath, model_option, path_option, threads_option
from veca_edge.cli.progress import Stages, command_line, next_step, say
from veca_edge.errors import require
from veca_edge.files import check_target, photo_folder
from veca_edge.gallery.archive import check_ending
from veca_edge.numbers import counted

if TYPE_CHECKING:
    from veca_edge.photos.indexing import IndexOutcome

EPILOG = """\b
Examples:
  veca-edge index photos/ --output photos.npz       # again later: only what is new or changed is computed
  veca-edge index photos/ --output photos.npz --model veca.pte --cores 32 --image-size 256

\b
Then:
  veca-edge search photos.npz photo.jpg             # the pictures that are most like this one
  veca-edge search photos.npz --duplicates          # pictures that are nearly the same
"""


@click.command("index", epilog=EPILOG)
@click.argument("folder", metavar="PHOTOS", type=InputPath())
@path_option(
    "--output", required=True, help="Write the index here (.npz); one that is there is brought up to date."
)
@model_option()
@click.option(
    "--cores", type=Count(min=1), show_default="the file's, or the model's largest", help="Set the core budget."
)
@click.option(
    "--image-size",
    type=Count(min=1),
    show_default="the file's, or the model's",
    help="Set the size of the model's input in pixels, a multiple of the patch size.",
)
@threads_option()
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    folder: Path, output: Path, model: Path | None, threads: int | None, as_json: bool, **given: Any
) -> None:
    """Compute the embeddings of a folder of pictures, for `veca-edge search`.

    PHOTOS is looked through with its sub-folders. Pictures that cannot be read are named and left out, those that
    are gone are dropped, and Ctrl-C loses nothing: the same command goes on. The file holds no pictures, only their
    names and what the model makes of them.
    """
    photo_folder(folder)
    check_target(output)
    check_ending(output, "an index")
    require("cv2", "run")
    from veca_edge.photos.indexing import IndexRequest, index_pictures

    opened = open_model(model, threads)
    outcome = index_pictures(IndexRequest(folder, output, **given), opened, say, partial(Stages(), "embeddings"))
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
        return
    click.echo(_as_text(outcome))
    named = () if model is None else ("--model", model)
    next_step(command_line("search", output, outcome.index.path(0), *named))


def _as_text(outcome: IndexOutcome) -> str:
    rate = f" ({outcome.computed / outcome.seconds:.0f} a second)" if outcome.computed else ""
    skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
    return (
        f"{counted(len(outcome.index), 'picture')}: {outcome.computed} computed{rate}, {outcome.kept} kept, "
        f"{outcome.dropped} dropped{skipped}"
    )
