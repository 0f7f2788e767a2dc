"""`veca-edge convert`: a checkpoint to a file for devices, or to several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from veca_edge.cli.parsing import parse_budgets, parse_sizes
from veca_edge.cli.products import PACKAGE, PRODUCTS, XNNPACK
from veca_edge.cli.progress import Stages
from veca_edge.cli.quantization import check_quantization, limit_options, recipe_name
from veca_edge.errors import VecaError, require
from veca_edge.files import check_package_target, check_target, same_file

EPILOG = """\b
Examples:
  veca-edge convert                                    # the model that comes with the package
  veca-edge convert veca.pt --target executorch --output veca.pte
  veca-edge convert veca.pt --target coreml --output Veca.mlpackage
  veca-edge convert veca.pt --target coreml --quantize fp16 --image-size 256,384
  veca-edge convert veca.pt --target all               # both files
  veca-edge convert veca.pt --quantize fp32 --budgets 8,32,64 --image-size 384
  veca-edge convert veca.pt --max-patches 4096         # up to 1024 px with patches of 16
  veca-edge convert veca.pt --quantize int4 --calibration photos/
  veca-edge convert veca.pt --calibration photos/ --max-drop 0.5%
  veca-edge convert veca.pt --recipe recipe.json --calibration photos/

\b
The file is read back in a child process and every method, function and budget is compared with the checkpoint on
real images before it gets its name. Exit status: 2 for bad input or a result outside the tolerance, else 0.
"""

# What an option is for, where it is not for everything.
OPTIONS = {
    "max_patches": (XNNPACK,),
    "judge": (XNNPACK,),
    "calibration": (XNNPACK,),
    "max_drop": (XNNPACK,),
    "max_size": (XNNPACK,),
    "minimum_target": (PACKAGE,),
    "classifier": (PACKAGE,),
}


def _refuse_coreml_backend(context: click.Context, parameter: click.Parameter, name: str | None) -> None:
    """There was a choice once; XNNPACK is what is left of it."""
    if name == "coreml":
        raise VecaError("--backend coreml is no longer available: use --target coreml, which writes a package")


@click.command("convert", epilog=EPILOG)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target", type=click.Choice(["executorch", "coreml", "all"]), default="executorch", show_default=True
)
@click.option(
    "--backend",
    type=click.Choice(["xnnpack", "coreml"]),
    callback=_refuse_coreml_backend,
    expose_value=False,
    hidden=True,
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Default: NAME-PRECISION.pte or NAME-PRECISION.mlpackage here.",
)
@click.option(
    "--quantize",
    type=click.Choice(["int8", "fp16", "fp32", "int4", "palette6", "palette4"]),
    default="int8",
    show_default=True,
    help="How weights are stored. XNNPACK has int8, int4 and fp32; 4 and 6 bits lose more: look at the table.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Real images: weights are rounded to serve them, and the file's quality is judged on them.",
)
@click.option(
    "--recipe", type=click.Path(path_type=Path), metavar="FILE", help="How each layer is stored, from `calibrate`."
)
@limit_options("file")
@click.option(
    "--budgets", callback=parse_budgets, metavar="8,16,…|all", help="Core counts to offer; all by default."
)
@click.option(
    "--image-size",
    "image_sizes",
    callback=parse_sizes,
    metavar="256[,384…]",
    help="Side of the image in pixels; the checkpoint's by default. Core ML takes several.",
)
@click.option(
    "--minimum-target",
    type=click.Choice(["iOS18", "iOS17"]),
    default="iOS18",
    show_default=True,
    help="Oldest system for Core ML. iOS 17 (macOS 14) knows no functions: one package per budget.",
)
@click.option("--classifier", is_flag=True, help="A Core ML classifier: label and probabilities, no logits.")
@click.option(
    "--max-patches", type=click.IntRange(min=1), help="Most patches at once; 1024 or enough for the image."
)
@click.option(
    "--judge/--no-judge",
    default=True,
    show_default=True,
    help="Measure what each operating point is worth, for `run --cores auto`.",
)
@click.option("--force", is_flag=True, help="Write the file even if it is outside the tolerance.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_context
def command(context: click.Context, /, checkpoint: Path | None, as_json: bool, **given: Any) -> None:
    """Turn a checkpoint into a file for devices, with every core budget inside, and verify it.

    CHECKPOINT is a checkpoint in the published format; without it the one that comes with the package is used.
    """
    products = _products(given)
    _check_options(context, products, given)
    require("torch", "convert")
    for product in products:
        for module, extra in PRODUCTS[product].needs:
            require(module, extra)
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    path = checkpoint or default_checkpoint_path()
    source = read_checkpoint(path)
    outputs = {product: _output(product, path, given, len(products) > 1) for product in products}
    facts = {}
    for product, output in outputs.items():
        start = perf_counter()
        made = PRODUCTS[product].make(source, output, given, None if as_json else Stages())
        facts[product] = made | {"seconds": perf_counter() - start}
        if not as_json:
            click.echo("\n".join(PRODUCTS[product].lines(facts[product])))
    if as_json:
        named = {product.removeprefix("--target "): values for product, values in facts.items()}
        click.echo(json.dumps(named if len(named) > 1 else facts[products[0]], indent=2))


def _products(given: Mapping[str, Any]) -> tuple[str, ...]:
    """What is to be made."""
    return {"executorch": (XNNPACK,), "coreml": (PACKAGE,), "all": (XNNPACK, PACKAGE)}[given["target"]]


def _check_options(context: click.Context, products: tuple[str, ...], given: Mapping[str, Any]) -> None:
    """Refuse options that nothing to be made knows, before anything is imported."""
    for name, users in OPTIONS.items():
        if _is_chosen(context, name) and not set(users) & set(products):
            raise VecaError(f"--{name.replace('_', '-')} is for {' or '.join(users)} only")
    check_quantization(given, _is_chosen(context, "quantize"))
    if XNNPACK in products and given["quantize"] not in ("int8", "int4", "fp32"):
        raise VecaError(f"--quantize {given['quantize']} is for Core ML: XNNPACK takes int8, int4 or fp32")
    if given["image_sizes"] and len(given["image_sizes"]) > 1 and products != (PACKAGE,):
        raise VecaError(f"several image sizes are for {PACKAGE}: a .pte has one, and takes any with its `encode`")


def _is_chosen(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def _output(product: str, source: Path, given: Mapping[str, Any], several: bool) -> Path:
    """Where a product goes; of several each gets its own ending."""
    ending = PRODUCTS[product].ending
    path: Path | None = given["output"]
    if path is None:
        name = recipe_name(given, product == XNNPACK)
        path = Path(f"{source.stem}-{name}{ending}")
    elif several:
        stem = path.with_suffix("") if path.suffix in (".pte", ".mlpackage") else path
        path = Path(f"{stem}{ending}")
    if product == PACKAGE:
        return check_package_target(path)
    path = check_target(path)
    if same_file(path, source):
        raise VecaError(f"{path} is the checkpoint itself: name another --output")
    return path
