"""`veca-edge train` as a user meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from veca_edge.cli.main import main
from veca_edge.playback.writers import save_png
from veca_edge.training.state import read_log

TINY = [
    *(
        "epochs=12",
        "batch_size=8",
        "photo_size=32",
        "phases=[{sizes=[32]}]",
        "validation.cores=[8,16]",
        "log_every=2",
    ),
    *("model.hidden_dim=64", "model.num_heads=1", "model.num_layers=2", "model.num_cores=16", "optimizer.lr=3e-3"),
]
SETTINGS = [part for setting in TINY for part in ("--set", setting)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark photos, no val folder, one broken file, labels of several scripts."""
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label, offset in (("dunkel grün", 0), ("светлый", 140)):
        (folder / label).mkdir()
        for index in range(20):
            photo = generator.integers(0, 110, (36, 48, 3), dtype=np.uint8) + np.uint8(offset)
            save_png(folder / label / f"{index}.png", photo)
    (folder / "светлый" / "broken.jpg").write_bytes(b"not a photo")
    return folder


def train(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veca_edge.cli.main", "train", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def trained(
    photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    output = tmp_path_factory.mktemp("trained") / "model.pt"
    result = train("--data", photos, "--output", output, *SETTINGS, "--plot", output.with_suffix(".png"))
    return output, result


def test_says_what_it_made(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    output, result = trained
    assert result.returncode == 0, result.stderr
    assert "skipped: " in result.stderr
    assert "broken.jpg" in result.stderr
    assert "no val folder: one photo in 10" in result.stderr
    assert "54 of 54 steps" in result.stdout
    assert "32     16  100.0 %" in result.stdout
    assert "\r" not in result.stderr
    assert sorted(path.name for path in output.parent.iterdir()) == [
        *("model.log.jsonl", "model.png", "model.pt", "model.state.pt")
    ]


def test_the_result_converts_straight_away(
    trained: tuple[Path, subprocess.CompletedProcess[str]], photos: Path, tmp_path: Path
) -> None:
    import veca_edge
    from veca_edge.image.stills import read_image

    made = tmp_path / "model.pte"
    arguments = ["convert", str(trained[0]), "--output", str(made), "--no-evaluate"]
    result = subprocess.run(
        [sys.executable, "-m", "veca_edge.cli.main", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    model = veca_edge.load(made)
    for label in ("dunkel grün", "светлый"):
        assert model(read_image(photos / label / "3.png"), cores=8).top(1)[0].label == label


def test_again_there_is_nothing_to_do_and_new_settings_are_noticed(
    trained: tuple[Path, subprocess.CompletedProcess[str]], photos: Path
) -> None:
    run = CliRunner()
    same = ["train", "--data", str(photos), "--output", str(trained[0]), *SETTINGS]
    again = run.invoke(main, [*same, "--json"])
    assert again.exit_code == 0, again.output
    assert "continuing after step 54 of 54" in again.stderr
    assert json.loads(again.stdout)["step"] == 54
    other = run.invoke(main, [*same, "--set", "seed=2"])
    assert other.exit_code == 2
    assert other.stderr.strip().endswith("or continue with --resume changed")


def test_minutes_save_and_stop(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.pt"
    plot = output.with_suffix(".svg")  # also where no step was taken yet
    arguments = ["--data", photos, "--output", output, *SETTINGS, "--plot", plot]
    arguments += ["--set", "epochs=100000", "--minutes", "0.02"]
    first, second = (train(*arguments, "--json") for _ in range(2))
    for result in (first, second):
        assert result.returncode == 0, result.stderr
    before, after = json.loads(first.stdout), json.loads(second.stdout)
    assert before["finished"] is after["finished"] is False
    assert f"continuing after step {before['step']} of " in second.stderr
    assert all(line["step"] <= after["step"] for line in read_log(output.with_suffix(".log.jsonl")))


def test_help_needs_no_framework() -> None:
    code = (
        "import sys\nfrom veca_edge.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    for option in ("--help", "--print-config"):
        result = subprocess.run([sys.executable, "-c", code, "train", option], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_print_config_explains_every_setting() -> None:
    result = CliRunner().invoke(main, ["train", "--print-config", "--config", "everyday-cpu", "--set", "seed=8"])
    assert result.exit_code == 0
    assert "seed = 8  " in result.output
    assert "# seed of every random draw" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "x.pt"], "Missing option '--data'"),
        (["--data", "."], "Missing option '--output'"),
        (["--data", "missing", "--output", "x.pt"], "missing: no such folder of photos"),
        (["--data", ".", "--output", "x.pt"], "no photo in a folder of a label"),
        (["--data", ".", "--output", "no/folder/x.pt"], "there is no folder"),
        (["--data", ".", "--output", "x.pt", "--plot", "x.txt"], "--plot x.txt: use a name that ends in"),
        (["--data", ".", "--output", "x.pt", "--set", "epoch=3"], "did you mean epochs"),
        (["--data", ".", "--output", "x.pt", "--config", "evryday"], "one of everyday-cpu"),
        (["--data", ".", "--output", "x.pt", "--device", "quantum"], "device quantum cannot be used"),
        (["--data", ".", "--output", "x.pt", "--device", "cuda:77"], "device cuda:77 cannot be used"),
    ],
)
def test_bad_orders_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_one_label_and_broken_photos_are_refused(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "светлый", tmp_path / "one" / "светлый")
    result = CliRunner().invoke(
        main, ["train", "--data", str(tmp_path / "one"), "--output", str(tmp_path / "x.pt")]
    )
    assert result.exit_code == 2
    assert "only one label with photos (светлый)" in result.stderr


def test_photos_that_cannot_fit_into_memory_are_refused(photos: Path, tmp_path: Path) -> None:
    from veca_edge.errors import VecaError
    from veca_edge.photos.store import _check_memory

    with pytest.raises(VecaError, match=r"take 503\.3 TB|take [0-9.]+ GB of [0-9]+ GB .*lower photo_size"):
        _check_memory(10_000_000, 4096)
