"""What a conversion finds out about how sure a head must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.known import known
from tests.photos.labelled_photos import tiny_checkpoint, write_folders, write_photos
from veca_edge.conversion.certainty import with_certainty
from veca_edge.conversion.convert import ConvertRequest
from veca_edge.converters.description import model_facts
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY, Certainty
from veca_edge.photos.folders import read_folder
from veca_edge.training.heads.fitting import fit_head


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_folders(folder / "others", {"orange": 20})
    write_folders(folder / "strangers", {"orange": 2, "lime": 2})
    return write_photos(folder / "photos", val=20).parent


@pytest.fixture(scope="module")
def checkpoint(photos: Path) -> Checkpoint:
    """With a head, and nothing about how sure it must be."""
    return replace(fit_head(tiny_checkpoint(), read_folder(photos / "photos")).checkpoint, certainty=None)


def found(checkpoint: Checkpoint, data: Path | None, unknown: Path | None) -> Certainty | None:
    return with_certainty(checkpoint, data, unknown, 64, (8, 16), lambda _: None, lambda *_: None).certainty


def test_labelled_photos_say_it_and_photos_of_other_things_say_more(photos: Path, checkpoint: Checkpoint) -> None:
    alone = known(found(checkpoint, photos / "photos", None))
    assert (alone.about["photos"], alone.about["unknown_photos"]) == (60, 0)
    assert alone.threshold >= DEFAULT_CERTAINTY.threshold
    both = known(found(checkpoint, photos / "photos", photos / "others"))
    assert both.about["unknown_photos"] == 20
    assert model_facts(replace(checkpoint, certainty=both), 64)["certainty"] == both


def test_without_labels_nothing_is_found_out(photos: Path, checkpoint: Checkpoint) -> None:
    assert found(checkpoint, None, None) is None
    assert found(checkpoint, photos / "strangers", None) is None
    assert model_facts(checkpoint, 64)["certainty"] == DEFAULT_CERTAINTY


def test_what_a_checkpoint_carries_stands_unless_there_are_photos_of_other_things(
    photos: Path, checkpoint: Checkpoint
) -> None:
    own = replace(checkpoint, certainty=Certainty(1.0, 0.77))
    assert found(own, photos / "photos", None) == own.certainty
    assert found(own, photos / "photos", photos / "others") != own.certainty


def test_what_cannot_be_found_out_is_refused(photos: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(VecaError, match="strangers has none"):
        found(checkpoint, photos / "strangers", photos / "others")
    with pytest.raises(VecaError, match="has no head"):
        found(tiny_checkpoint(), photos / "photos", photos / "others")
    with pytest.raises(VecaError, match="--unknown needs photos of the labels"):
        ConvertRequest(unknown=photos)
    assert ConvertRequest(unknown=photos, data=photos, target="coreml").data == photos
