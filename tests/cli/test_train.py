"""`veca-edge train` as a user meets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.paths import GOLDEN
from tests.training.training_sets import as_options, write_set
from veca_edge.cli.main import main
from veca_edge.errors import VecaError
from veca_edge.image.stills import read_image
from veca_edge.runtime.model import load
from veca_edge.training.state import read_log

LABELS = ("dunkel grün", "苹果", "светлый")
SETTINGS = as_options("epochs=16", "phases=[{sizes=[32]}]", "augment.mixup=0", "augment.cutmix=0", "log_every=2")
Trained = tuple[Path, Result]

CHECKPOINT = str(GOLDEN / "published-96.pt")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of three colours, no val folder, one broken file, labels of several scripts."""
    folder = write_set(tmp_path_factory.mktemp("photos"), {".": 36}, LABELS)
    (folder / LABELS[2] / "broken.jpg").write_bytes(b"not a photo")
    return folder


def train(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    output = tmp_path_factory.mktemp("trained") / "model.pt"
    return output, train("--data", photos, "--output", output, *SETTINGS, "--plot", output.with_suffix(".png"))


def test_says_what_it_made(trained: Trained) -> None:
    output, result = trained
    assert result.exit_code == 0, result.stderr
    assert "skipped: " in result.stderr
    assert "broken.jpg" in result.stderr
    assert "no val folder: one photo in 10" in result.stderr
    assert re.search(r"read 36 photos in [0-9.]+ s: [0-9,]+ a second, \d+ threads?\n", result.stderr)
    assert "training on cpu: 44 steps of " in result.stderr
    assert "44 of 44 steps" in result.stdout
    assert "32     24  100.0 %" in result.stdout
    assert "\r" not in result.stderr
    names = ["model.log.jsonl", "model.png", "model.pt", "model.state.pt"]
    assert sorted(path.name for path in output.parent.iterdir()) == names


def test_the_result_converts_straight_away(trained: Trained, photos: Path, tmp_path: Path) -> None:
    made = tmp_path / "model.pte"
    result = CliRunner().invoke(main, ["convert", str(trained[0]), "--output", str(made), "--no-evaluate"])
    assert result.exit_code == 0, result.stderr
    model = load(made)
    for label in LABELS:
        photo = next((photos / label).glob("*.png"))
        assert model(read_image(photo), cores=8).top(1)[0].label == label


def test_again_there_is_nothing_to_do_and_new_settings_are_noticed(trained: Trained, photos: Path) -> None:
    same = ("--data", photos, "--output", trained[0], *SETTINGS)
    again = train(*same, "--json")
    assert again.exit_code == 0, again.output
    assert "continuing after step 44 of 44" in again.stderr
    assert json.loads(again.stdout)["step"] == 44
    other = train(*same, "--set", "seed=2")
    assert other.exit_code == 2
    assert other.stderr.strip().endswith("or continue with --resume changed")


def test_minutes_plan_the_steps(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.pt"
    plot = output.with_suffix(".svg")  # also where no step was taken yet
    given = ("--data", photos, "--output", output, *SETTINGS, "--plot", plot, "--set", "epochs=100000", "--json")
    first, second, third = (train(*given, *minutes) for minutes in (["--minutes", 1e-6], ["--minutes", 0.05], []))
    before, after = json.loads(first.stdout), json.loads(second.stdout)
    assert (before["finished"], before["step"], before["stopped"]) == (False, 0, "minutes")
    assert (after["finished"], after["stopped"], after["minutes"]) == (True, "end", 0.05)
    assert after["step"] == after["steps"] == after["planned"][-1] < 100_000
    assert after["photos_per_second"] > 0 == after["masks_per_second"]
    assert after["validation"]
    assert "planned for 0.05 min: " in second.stderr
    rates = [line["lr"] for line in read_log(output.with_suffix(".log.jsonl")) if "lr" in line]
    assert rates[-1] < 0.1 * max(rates)
    assert plot.stat().st_size > 1000
    assert third.exit_code == 2
    assert "other settings (--minutes)" in third.stderr


@pytest.mark.parametrize("option", ["--help", "--print-config"])
def test_help_needs_no_framework(option: str) -> None:
    code = (
        "import sys\nfrom veca_edge.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, "train", option], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_print_config_explains_every_setting() -> None:
    result = train("--print-config", "--config", "everyday", "--set", "seed=8")
    assert result.exit_code == 0
    assert "seed = 8  " in result.output
    assert "# seed of every random draw" in result.output
    assert "#   patches: share of each view's patches" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "x.pt"], "missing option '--data'"),
        (["--data", "."], "missing option '--output'"),
        (
            ["--data", ".", "--output", "x.pt", "--teacher", "no.npz"],
            "no.npz: no such file or folder: check the path",
        ),
        (["--data", "missing", "--output", "x.pt"], "missing: no such file or folder"),
        (["--data", ".", "--output", "x.pt"], "only one label with photos (светлый)"),
        (["--data", ".", "--output", "no/folder/x.pt"], "there is no folder"),
        (["--data", ".", "--output", "x.pt", "--plot", "x.txt"], "--plot x.txt: use a name that ends in"),
        (["--data", ".", "--output", "x.pt", "--set", "epoch=3"], "did you mean epochs"),
        (["--data", ".", "--output", "x.pt", "--config", "evryday"], "one of everyday"),
        (["--data", ".", "--output", "x.pt", "--device", "quantum"], "device quantum cannot be used"),
        (["--data", ".", "--output", "x.pt", "--device", "cuda:77"], "device cuda:77 cannot be used"),
        (["--data", ".", "--output", "x.pt", "--device", "meta"], "device meta cannot be used"),
        (
            ["--data", ".", "--output", CHECKPOINT, "--init", CHECKPOINT],
            "would overwrite --init",
        ),
        (["--data", ".", "--output", "x.pt", "--teacher", ""], "--teacher has an empty value"),
        (["--data", ".", "--output", "x.pt", "--config", ""], "--config has an empty value"),
    ],
)
def test_bad_requests_are_one_line(
    arguments: list[str], message: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(photos / "светлый", tmp_path / "светлый")
    monkeypatch.chdir(tmp_path)
    result = train(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["светлый"]


def test_photos_that_cannot_fit_into_memory_are_refused() -> None:
    from veca_edge.photos.store import check_memory

    with pytest.raises(VecaError, match=r"take 503\.3 TB|take [0-9.]+ GB of [0-9]+ GB .*lower photo_size"):
        check_memory(10_000_000, 4096)


def test_a_teacher_that_a_recipe_names_is_not_run_unasked(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spy.py").write_text("import pathlib\npathlib.Path('ran').touch()\nmake = None\n")
    (tmp_path / "recipe.toml").write_text('[teacher]\nsource = "spy:make"\n')
    arguments = ["--data", photos, "--output", "x.pt", "--config", "recipe.toml"]
    result = train(*arguments)
    assert result.exit_code == 2
    assert "'spy:make', which is code: read it, and give --trust-teacher" in result.stderr
    assert not (tmp_path / "ran").exists()
    for more in (["--trust-teacher"], ["--teacher", "spy:make"]):
        assert "calling it gave" in train(*arguments, *more).stderr or (tmp_path / "ran").exists()
        assert (tmp_path / "ran").exists()
