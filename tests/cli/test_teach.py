from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch")

from tests.photos.labelled_photos import tiny_checkpoint, write_folders
from veca_edge.cli.main import main
from veca_edge.gallery.gallery import Gallery
from veca_edge.model.checkpoint import write_checkpoint


def teach(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["teach", *map(str, arguments)])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teach")
    write_checkpoint(tiny_checkpoint(), folder / "tiny.pt", half=False)
    write_checkpoint(tiny_checkpoint(num_layers=1), folder / "other.pt", half=False)
    write_folders(folder / "photos", {"banana": 4, "hat": 4})
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture
def gallery(place: Path, tmp_path: Path) -> Path:
    """Taught three bananas, one file by one, and a folder of hats."""
    path, model = tmp_path / "my-things.npz", ("--model", place / "tiny.pt")
    bananas = sorted((place / "photos" / "banana").iterdir())[:3]
    for arguments in (("--add", "banana", *bananas), ("--add", "hat", place / "photos" / "hat")):
        done = teach(path, *arguments, *model)
        assert done.exit_code == 0, done.output
    return path


def test_teach_ask_list_remove(place: Path, gallery: Path) -> None:
    assert dict(Gallery.load(gallery).labels) == {"banana": 3, "hat": 4}
    model = ("--model", place / "tiny.pt")
    known = place / "photos" / "banana" / "00.png"
    again = teach(gallery, "--add", "banana", known, *model)
    assert "1 photo of banana, 1 of them taught already" in again.stdout
    assert f"next: veca-edge teach {gallery} --ask photo.jpg --model" in again.stderr
    asked = json.loads(teach(gallery, "--ask", known, "--json", *model).stdout)
    assert [match["label"] for match in asked["photos"][0]["matches"]] == ["banana", "hat"]
    assert (asked["kind"], asked["photos"][0]["path"]) == ("answers", str(known))
    said = teach(gallery, "--ask", place / "photos", known, *model)
    assert "there are no images" in said.stderr
    assert "sub-folders are not looked at: name them" in said.stderr
    said = teach(gallery, "--ask", known, *model)
    assert str(known) in said.stdout  # in two folders there may be a 00.png
    assert f"next: veca-edge run {place / 'tiny.pt'} --camera 0 --teach {gallery}" in said.stderr
    listed = teach(gallery, "--list")
    assert "banana         3" in listed.stdout
    removed = teach(gallery, "--remove", "banana")
    assert "removed banana" in removed.stdout
    assert json.loads(teach(gallery, "--list", "--json").stdout)["labels"] == {"hat": 4}


def test_a_box_is_taught_and_asked_for(place: Path, gallery: Path) -> None:
    model, photo = ("--model", place / "tiny.pt"), place / "photos" / "hat" / "01.png"
    early = teach(gallery, "--ask", photo, "--box", "0,0,40,60", *model)
    assert early.exit_code == 2
    assert "has no examples of boxes: teach it some first with --add LABEL PHOTO --box X,Y,W,H" in early.stderr
    for label, box in (("left", "0,0,40,60"), ("right", "50,0,40,60")):
        done = teach(gallery, "--add", label, photo, "--box", box, *model)
        assert done.exit_code == 0
        assert f"--ask photo.jpg --box {box} --model" in done.stderr
    asked = json.loads(teach(gallery, "--ask", photo, "--box", "50,0,40,60", "--json", *model).stdout)
    assert {match["label"] for match in asked["photos"][0]["matches"]} == {"left", "right"}
    assert asked["photos"][0]["matches"][0]["label"] == "right"


def test_the_image_size_that_was_taught_is_the_default(place: Path, tmp_path: Path) -> None:
    path, model = tmp_path / "small.npz", ("--model", place / "tiny.pt")
    photo, log = place / "photos" / "hat" / "00.png", tmp_path / "log.jsonl"
    for given in (["--image-size", 32], []):
        assert teach(path, "--add", "hat", place / "photos" / "hat", *given, *model).exit_code == 0
    gallery = Gallery.load(path)
    assert (len(gallery), gallery.image_size) == (4, 32)  # the second time at the same size, so nothing is new
    remark = "the gallery was taught at 32 px: at 64 px similarities differ"
    assert remark in teach(path, "--ask", photo, "--image-size", 64, *model).stderr
    assert "was taught at" not in teach(path, "--ask", photo, *model).stderr
    shown = ("run", place / "tiny.pt", "--source", photo, "--headless", "--teach", path, "--log", log)
    for size, side, said in ((), 32, False), (("--image-size", "64"), 64, True):
        done = CliRunner().invoke(main, [*map(str, shown), *size])
        assert (done.exit_code, remark in done.stderr) == (0, said), done.output
        assert json.loads(log.read_text().splitlines()[0])["image_size"] == [side, side]


def test_names_do_not_steer_the_terminal(place: Path, gallery: Path) -> None:
    photo = place / "photos" / "hat" / "00.png"
    odd = gallery.parent / "a\x1b[2J\nb.png"
    odd.write_bytes(photo.read_bytes())
    asked = teach(gallery, "--ask", odd, "--model", place / "tiny.pt").stdout
    removed = teach(gallery.rename(gallery.with_name("g\x1b[2J.npz")), "--remove", "hat").stdout
    assert (r"a\u001b[2J\u000ab.png" in asked, r"g\u001b[2J.npz holds" in removed) == (True, True)
    assert "\x1b" not in asked + removed


def test_a_name_that_no_gallery_can_have_is_refused_before_any_photo(place: Path, tmp_path: Path) -> None:
    done = teach(tmp_path / "things.jpg", "--add", "hat", place / "broken.jpg", "--model", place / "tiny.pt")
    assert (done.exit_code, "let the name of a gallery end in .npz" in done.output) == (2, True)


def test_a_folder_is_evaluated(place: Path, gallery: Path) -> None:
    done = teach(gallery, "--evaluate", place / "photos", "--cores", 8, "--model", place / "tiny.pt")
    assert done.exit_code == 0, done.output
    assert "8 photos of the gallery's labels: best match right" in done.stdout
    assert "of other labels" not in done.stdout  # there are none
    values = json.loads(
        teach(gallery, "--evaluate", place / "photos", "--json", "--model", place / "tiny.pt").stdout
    )
    assert (values["photos"], values["strangers_named"]) == (8, None)


def test_photos_that_cannot_be_read_are_named(place: Path, gallery: Path) -> None:
    model, photo = ("--model", place / "tiny.pt"), place / "photos" / "banana" / "03.png"
    done = teach(gallery, "--add", "banana", place / "broken.jpg", photo, *model)
    assert done.exit_code == 0
    assert "broken.jpg" in done.stderr
    assert Gallery.load(gallery).labels["banana"] == 4
    before = gallery.read_bytes()
    assert teach(gallery, "--add", "cup", place / "broken.jpg", *model).exit_code == 2
    assert gallery.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to do: give one of --add, --ask"),
        (("--list", "--ask"), "--ask and --list: give one of"),
        (("--add", "mug"), "--add needs photos"),
        (("--list", "{photo}"), "--list takes no photos: leave {photo} out"),
        (("--list", "--cores", "8"), "--list runs no model: leave --cores out"),
        (("--list", "--box", "1,2,3,4"), "--list takes no --box"),
        (("--remove", "mug"), "no 'mug': it knows banana, hat"),
        (("--add", "m" * 10_000, "{photo}"), "10000 characters long"),
        (("--add", "\x1b[31mred", "{photo}"), "cannot be shown"),
        (("--add", "", "{photo}"), "cannot be shown"),
        (("--add", "mug", "no.jpg"), "no.jpg: no such file"),
        (("--add", "mug", "{photo}", "--box", "1,2,3"), "give x, y, width and height"),
        (("--add", "mug", "{photo}", "--box", "900,0,5,5"), "outside of what the model saw"),
        (("--add", "mug", "{photo}", "--model", "{other}"), "taught with another model"),
    ],
)
def test_bad_usage_is_one_line_and_changes_nothing(
    place: Path, gallery: Path, arguments: tuple[str, ...], said: str
) -> None:
    names = {"photo": place / "photos" / "hat" / "00.png", "other": place / "other.pt"}
    before = gallery.read_bytes()
    given = [argument.format(**names) for argument in arguments]
    done = teach(gallery, *(given if "--model" in given else [*given, "--model", place / "tiny.pt"]))
    assert done.exit_code == 2, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert said.format(**names) in done.stderr
    assert gallery.read_bytes() == before


def test_a_gallery_that_is_not_there(tmp_path: Path) -> None:
    done = teach(tmp_path / "no.npz", "--list")
    assert done.exit_code == 2
    assert "teach it something first" in done.stderr
