"""`veca-edge match`: which places of two pictures look alike, and how well that works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veca_edge.cli.parsing import parse_budgets, parse_sizes
from veca_edge.cli.progress import Stages, say
from veca_edge.errors import VecaError, require
from veca_edge.files import check_target

if TYPE_CHECKING:
    from veca_edge.calibration.matching import MatchingReport
    from veca_edge.runtime.model import Model

EPILOG = """\b
Examples:
  veca-edge match before.jpg after.jpg --save matches.png
  veca-edge match before.jpg after.jpg --model veca.pte --cores 8 --json
  veca-edge match --measure                          # on the packaged photos, against plain pixels
  veca-edge match --measure --images photos/ --cores 8,64 --image-size 128,256
"""
SIZE = 256  # pixels: as many patches as the streams' default


@click.command("match", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path), metavar="[FIRST SECOND]")
@click.option("--model", type=click.Path(path_type=Path), metavar="FILE", help="The packaged model by default.")
@click.option("--cores", callback=parse_budgets, metavar="LIST", help="Core budgets; the largest by default.")
@click.option("--image-size", "sizes", callback=parse_sizes, metavar="LIST", help=f"Pixels; {SIZE} by default.")
@click.option("--most", type=click.IntRange(min=1), default=60, show_default=True, help="Matches to keep.")
@click.option("--least", type=click.FloatRange(-1, 1), default=0.0, show_default=True, help="Least similarity.")
@click.option("--save", type=click.Path(path_type=Path), metavar="PNG", help="Draw the matches.")
@click.option("--measure", is_flag=True, help="Measure on photos that are moved by known amounts.")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="For --measure: your photos.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For --measure.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pictures: tuple[Path, ...], measure: bool, as_json: bool, **given: Any) -> None:
    """Pair the places of two pictures that look alike, by their patch features."""
    if measure == bool(pictures) or (pictures and len(pictures) != 2):
        raise VecaError("give two pictures, or --measure alone")
    if pictures and (given["images"] or any(len(given[name] or "1") > 1 for name in ("cores", "sizes"))):
        raise VecaError("--images and lists of cores or sizes are for --measure")
    if measure and given["save"]:
        raise VecaError("--save is for two pictures")
    if given["save"]:
        given["save"] = check_target(given["save"])
        if given["save"].suffix.lower() != ".png":
            raise VecaError(f"cannot draw to {given['save'].name}: the name must end in .png")
    if measure:
        _print_report(_measured(given, None if as_json else Stages()), as_json)
    else:
        _match(pictures, given, as_json)


def _model(path: Path | None) -> Model:
    require("executorch", "run")
    from veca_edge.conversion.default import default_model_path
    from veca_edge.runtime.model import load
    from veca_edge.runtime.native import quiet

    path = path or default_model_path(say)
    with quiet():
        return load(path)


def _match(pictures: tuple[Path, ...], given: dict[str, Any], as_json: bool) -> None:
    from veca_edge.image.stills import read_image
    from veca_edge.playback.matches import draw_matches
    from veca_edge.playback.writers import save_png
    from veca_edge.runtime.matching import match_patches

    require("cv2", "run")
    images = read_image(pictures[0]), read_image(pictures[1])
    model = _model(given["model"])
    cores = given["cores"][0] if given["cores"] else None
    size = given["sizes"][0] if given["sizes"] else SIZE
    first, second = (model(image, cores, size) for image in images)
    matches = match_patches(first, second, given["least"])
    most = given["most"]
    starts, ends, similarity = matches.first[:most], matches.second[:most], matches.similarity[:most]
    if given["save"]:
        save_png(given["save"], draw_matches(*images, starts, ends))
    if as_json:
        rows = zip(starts.tolist(), ends.tolist(), similarity.tolist(), strict=True)
        found = [{"first": a, "second": b, "similarity": s} for a, b, s in rows]
        click.echo(json.dumps({"kind": "matches", "all": len(matches), "matches": found}, indent=2))
        return
    best = f", similarity {similarity[-1]:.2f} to {similarity[0]:.2f}" if len(similarity) else ""
    click.echo(f"{len(matches)} matches, kept {len(similarity)}{best}")
    if given["save"]:
        click.echo(f"drawn to {given['save']}")


def _measured(given: dict[str, Any], stages: Stages | None) -> MatchingReport:
    from veca_edge.calibration.benchmark.machine import read_machine
    from veca_edge.calibration.matching import MatchingReport, measure_matching, photos_digest
    from veca_edge.photos.samples import read_images, sample_images

    require("cv2", "run")
    machine = read_machine()
    photos = read_images(given["images"]) if given["images"] else sample_images()
    model = _model(given["model"])
    cores = given["cores"] or model.budgets[-1:]
    advance = (lambda done: stages("matching", done)) if stages else (lambda _: None)
    rows = measure_matching(model, photos, cores, given["sizes"] or (SIZE,), given["seed"], advance)
    return MatchingReport(model.name, len(photos), photos_digest(photos), given["seed"], machine, rows)


def _print_report(report: MatchingReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
        return
    click.echo(f"{report.name}, {report.photos} photos, turned, scaled, shifted, lit and made noisy")
    click.echo("compared  cores  size  patches  found  pairs  right")
    for row in report.rows:
        cores = f"{row.cores:5}" if row.cores else "    -"
        click.echo(
            f"{row.what:8}  {cores}  {row.image_size:4}  {row.patches:7}  {100 * row.found:4.0f} %"
            f"  {row.pairs:4}  {100 * row.right:4.0f} %"
        )
