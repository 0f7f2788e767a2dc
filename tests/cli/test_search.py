"""`veca-edge index` and `search`: a folder of pictures in, similar ones out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.known import known
from tests.paths import ASSETS, GOLDEN
from tests.photos.labelled_photos import tiny_checkpoint
from veca_edge import PictureIndex
from veca_edge.cli.main import main
from veca_edge.model.checkpoint import write_checkpoint
from veca_edge.photos.samples import sample_images

AGAIN = "photos/saved again.png"  # the photo of milk


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def errors(done: Result) -> list[str]:
    """Standard error without the engine's own remarks, which go to the descriptor and are muted in a process."""
    return [line for line in done.stderr.splitlines() if not line.startswith("[threadpool")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, default_model_file: Path) -> Path:
    """A folder with all packaged photos, one of them saved a second time, and their index."""
    place = tmp_path_factory.mktemp("search")
    shutil.copytree(ASSETS / "photos", place / "photos")
    cv2.imwrite(str(place / "photos" / "saved again.png"), sample_images()[6][..., ::-1])
    done = run("index", place / "photos", "--output", place / "photos.npz")
    assert done.exit_code == 0, done.output
    return place


@pytest.fixture(autouse=True)
def there(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)


def test_a_checkpoint_needs_no_executorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    write_checkpoint(tiny_checkpoint(), tmp_path / "tiny.pt", half=False)
    shutil.copytree("photos", tmp_path / "photos")
    monkeypatch.setattr("veca_edge.errors.is_installed", lambda module: module != "executorch")
    monkeypatch.chdir(tmp_path)
    first, second = sorted(Path("photos").glob("*.jpg"))[:2]
    for arguments in (
        ("index", "photos", "--output", "photos.npz", "--model", "tiny.pt"),
        ("search", "photos.npz", first, "--model", "tiny.pt"),
        ("match", "tiny.pt", first, second, "--image-size", 64),
    ):
        done = run(*arguments)
        assert done.exit_code == 0, done.output


def test_an_index_says_what_was_done(tmp_path: Path) -> None:
    shutil.copytree("photos", tmp_path / "photos")
    (tmp_path / "photos" / "bad\n.jpg").write_bytes(b"none")
    first, again = (run("index", tmp_path / "photos", "--output", tmp_path / "a.npz") for _ in range(2))
    count = len(list(Path("photos").iterdir()))
    assert first.stdout.startswith(f"{count} pictures: {count} computed (")
    assert first.stdout.endswith(" a second), 0 kept, 0 dropped, 1 skipped\n")
    assert again.stdout == f"{count} pictures: 0 computed, {count} kept, 0 dropped, 1 skipped\n"
    assert any("skipped: " in line and "bad .jpg" in line for line in errors(first))
    assert errors(first)[-1].startswith(f"next: veca-edge search {tmp_path / 'a.npz'} {tmp_path / 'photos'}")
    values = json.loads(run("index", tmp_path / "photos", "--output", tmp_path / "a.npz", "--json").stdout)
    assert (values["kind"], values["pictures"], values["kept"], values["skipped"]) == ("index", count, count, 1)


def test_the_same_picture_is_the_most_similar() -> None:
    done = run("search", "photos.npz", "photos/milk.jpg", "--top", 3)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert {line[5:] for line in lines[:2]} == {"  photos/milk.jpg", "  photos/saved again.png"}
    assert lines[0].startswith("1.000  ")
    assert len(lines) == 3
    assert errors(done) == ["next: veca-edge search photos.npz photos/milk.jpg --plot sheet.png"]


def test_json_is_the_same() -> None:
    done = run("search", "photos.npz", "photos/milk.jpg", "--min-similarity", 0.9, "--json")
    values = json.loads(done.stdout)
    assert (values["kind"], values["query"], values["min_similarity"]) == (
        "similar pictures",
        "photos/milk.jpg",
        0.9,
    )
    assert {found["path"] for found in values["matches"]} >= {"photos/milk.jpg", "photos/saved again.png"}
    assert all(0.9 <= found["similarity"] <= 1 for found in values["matches"])
    assert errors(done) == []


def test_duplicates_are_listed_in_groups() -> None:
    done = run("search", "photos.npz", "--duplicates", "--json")
    values = json.loads(done.stdout)
    assert [sorted(found["path"] for found in group) for group in values["groups"]] == [
        ["photos/milk.jpg", "photos/saved again.png"]
    ]
    done = run("search", "photos.npz", "--duplicates", "--min-similarity", 0.97)
    assert done.stdout == "1.000  photos/milk.jpg\n1.000  photos/saved again.png\n"
    assert "1 group, 2 pictures, with a similarity of 0.97 or more to the first of the group" in errors(done)


def test_no_duplicates_are_said(tmp_path: Path) -> None:
    full = PictureIndex.load("photos.npz")
    one = PictureIndex(full.folder, full.names[:1], full.stamps[:1], full.embeddings[:1], full.made_with)
    one.save(tmp_path / "one.npz")
    done = run("search", tmp_path / "one.npz", "--duplicates")
    assert (done.exit_code, done.stdout) == (0, "")
    assert errors(done)[-1].startswith("no pictures have a similarity of 0.98 or more: lower --min-similarity")


def test_nothing_similar_is_said() -> None:
    Path("black.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
    done = run("search", "photos.npz", "black.png", "--min-similarity", 1)
    assert (done.exit_code, done.stdout) == (0, "")
    assert errors(done) == ["veca-edge: no picture has a similarity of 1 or more: lower --min-similarity"]


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        (("photos/milk.jpg", "--top", "4"), (1, 5)),
        (("photos/milk.jpg", "--top", "1000000"), (3, 7)),
        (("--duplicates",), (1, 2)),
    ],
)
def test_a_contact_sheet_is_drawn(tmp_path: Path, asked: tuple[str, ...], places: tuple[int, int]) -> None:
    done = run("search", "photos.npz", *asked, "--plot", tmp_path / "sheet.png")
    assert done.exit_code == 0, done.output
    assert f"veca-edge: wrote {tmp_path / 'sheet.png'}" in errors(done)
    sheet = known(cv2.imread(str(tmp_path / "sheet.png")))
    assert (sheet.shape[0] // 192, sheet.shape[1] // 192) == places
    photo = known(cv2.imread("photos/milk.jpg"))
    first = sheet[16 : 16 + 176, 16 : 16 + 176]  # the query, or the first of the group
    assert np.abs(first.astype(int) - cv2.resize(photo, (176, 176), interpolation=cv2.INTER_CUBIC)).mean() < 3
    assert len(np.unique(sheet[16 + 176 + 8 : 244].reshape(-1, 3), axis=0)) > 10  # words


def test_pictures_that_are_gone_leave_an_empty_place(tmp_path: Path) -> None:
    shutil.copy("photos.npz", tmp_path)
    assert run("search", tmp_path / "photos.npz", "photos/milk.jpg", "--plot", tmp_path / "s.png").exit_code == 0


def test_an_index_of_another_model_is_refused(tmp_path: Path) -> None:
    asked = ("search", "photos.npz", "photos/milk.jpg", "--model", GOLDEN / "published-96.pt")
    done = run(*asked)
    assert done.exit_code == 2
    assert "made with the model 'everyday" in errors(done)[-1]


def test_an_empty_index_says_what_to_do(tmp_path: Path) -> None:
    full = PictureIndex.load("photos.npz")
    empty = PictureIndex(full.folder, (), full.stamps[:0], full.embeddings[:0], full.made_with)
    empty.save(tmp_path / "empty.npz")
    done = run("search", tmp_path / "empty.npz", "photos/milk.jpg")
    assert done.exit_code == 2
    assert errors(done)[-1].endswith("holds no pictures: run `veca-edge index` on a folder that has some")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "photos.npz"), "name the picture to search for, or give --duplicates"),
        (("search", "photos.npz", "photos/milk.jpg", "--duplicates"), "leave photos/milk.jpg out"),
        (("search", "photos.npz", "--duplicates", "--top", "3"), "leave --top out"),
        (("search", "none.npz", "photos/milk.jpg"), "none.npz: no such file or folder"),
        (("search", "photos/milk.jpg", "photos/milk.jpg"), "milk.jpg is no index of pictures"),
        (("search", "photos", "photos/milk.jpg"), "cannot read photos: it is a folder"),
        (("search", "photos.npz", "photos"), "cannot read photos: it is not a file"),
        (("search", "photos.npz", "photos.npz"), "it is not"),
        (("search", "photos.npz", "photos/milk.jpg", "--top", "0"), "--top"),
        (("search", "photos.npz", "photos/milk.jpg", "--top", "9" * 40), "use a whole number of pictures"),
        (("search", "photos.npz", "photos/milk.jpg", "--min-similarity", "2"), "--min-similarity"),
        (("search", "photos.npz", "photos/milk.jpg", "--plot", "a.pdf"), "use a name that ends in .png"),
        (("search", "photos.npz", "photos/milk.jpg", "--plot", "photos/milk.jpg"), "use a name that ends in .png"),
        (
            ("search", "photos.npz", "photos/saved again.png", "--plot", "photos/saved again.png"),
            "overwrite an input",
        ),
        (("index", "photos.npz", "--output", "a.npz"), "photos.npz is a file: give the folder of the photos"),
        (("index", "photos", "--output", "photos"), "cannot write photos: it is a folder"),
        (("index", "photos", "--output", "no/a.npz"), "there is no folder"),
        (("index", "photos", "--output", "photos/milk.jpg"), "let the name of an index end in .npz"),
        (("index", "photos", "--output", "a.npz", "--cores", "7"), "7 cores: this model offers"),
    ],
)
def test_bad_usage_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert len(errors(done)) == 1
    assert said in errors(done)[0]
    assert not Path("a.npz").exists()
