"""`veca-edge calibrate` and what `convert` does with it, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.paths import GOLDEN
from veca_edge.cli.main import main
from veca_edge.playback.writers import save_png

GOLDEN = GOLDEN / "published-96.pt"


def _run(*arguments: object, folder: Path | None = None) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder or ".")
        return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from veca_edge.photos.samples import sample_images

    folder = tmp_path_factory.mktemp("photos")
    for index, image in enumerate(sample_images()[:6]):
        save_png(folder / f"{index}.png", image)
    return folder


@pytest.fixture(scope="module")
def calibrated(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("calibrated")
    goal = ["--max-drop", "1%", "--output", "recipe.json", "--plot", "layers.png"]
    return folder, _run("calibrate", GOLDEN, "--data", photos, "--cores", "8,64", *goal, folder=folder)


def test_it_shows_layers_wholes_and_what_was_chosen(
    calibrated: tuple[Path, Result],
) -> None:
    folder, result = calibrated
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert sum(line.startswith("  blocks.") for line in lines) == 4 * 7
    for name in ("int8", "int4"):
        assert sum(line.startswith(f"  {name} ") for line in lines) == 2
    assert "chosen: " in result.stdout
    assert "3 photos to learn from, 3 to evaluate on" in result.stdout
    assert "recipe.json: the recipe" in result.stdout
    names = {path.name for path in folder.iterdir()}
    assert names >= {"layers.png", "recipe.json"}
    assert not any(name.startswith(".") for name in names)
    assert (folder / "layers.png").stat().st_size > 10_000


def test_convert_takes_the_recipe(calibrated: tuple[Path, Result], photos: Path) -> None:
    from veca_edge.modelfile.pte import read_model_file

    folder, _ = calibrated
    recipe = json.loads((folder / "recipe.json").read_text())
    given = ["--recipe", "recipe.json", "--data", photos, "--cores", "8", "--image-size", 64]
    result = _run("convert", GOLDEN, *given, "--no-evaluate", "--force", folder=folder)
    assert result.exit_code == 0, result.stderr
    manifest = read_model_file(folder / f"published-96-{recipe['name']}.pte").manifest
    assert manifest.quantization == recipe["name"]
    assert dict(manifest.precision) == {"default": recipe["default"], **recipe["layers"]}


@pytest.mark.slow
def test_calibration_makes_int4_better(photos: Path, tmp_path: Path) -> None:
    cosines = []
    for index, given in enumerate([[], ["--data", photos]]):
        options = ["--quantize", "int4", "--cores", "8", "--image-size", 64, "--no-evaluate", "--force", "--json"]
        result = _run("convert", GOLDEN, "-o", tmp_path / f"{index}.pte", *options, *given)
        assert result.exit_code == 0, result.stderr
        rows = json.loads(result.stdout)["verification"]["rows"]
        cosines.append(min(row["feature_cosine"] for row in rows))
    plain, learned = cosines
    assert 1 - learned < 0.8 * (1 - plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrate", "nowhere.pt"], "nowhere.pt"),
        (["calibrate", "--cores", "all"], "'all': give core counts such as 8,64"),
        (["calibrate", GOLDEN, "--data", "nowhere"], "no such file or folder"),
        (["calibrate", GOLDEN, "--max-drop", "1%", "--output", "a.jpg"], "let its name end in .json"),
        (["calibrate", GOLDEN, "--output", "x.json"], "give --max-drop or --max-size"),
        (["calibrate", GOLDEN, "--max-drop", "1%", "--max-size", "1MB"], "give one of them"),
        (["calibrate", GOLDEN, "--plot", "x.txt"], "ends in .png, .svg or .pdf"),
        (["calibrate", GOLDEN, "--cores", "12"], "12 cores"),
        (["convert", GOLDEN, "--max-drop", "1%"], "--data"),
        (["convert", GOLDEN, "--recipe", "nowhere.json"], "nowhere.json"),
        (["convert", GOLDEN, "--recipe", GOLDEN, "--quantize", "int4"], "give one of them"),
        (["convert", GOLDEN, "--target", "coreml", "--data", "."], "--target executorch only"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_status_2(arguments: list[object], message: str, tmp_path: Path) -> None:
    result = _run(*arguments, folder=tmp_path)
    assert result.exit_code == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("option", "value"), [("--max-drop", "much"), ("--max-drop", "120%"), ("--max-size", "0")])
def test_malformed_limits_are_a_usage_error(option: str, value: str) -> None:
    result = _run("calibrate", GOLDEN, option, value)
    assert result.exit_code == 2
    assert "give a s" in result.stderr
