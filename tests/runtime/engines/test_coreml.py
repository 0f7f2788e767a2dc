"""Packages of ours: opened, checked, and run like any model. Core ML itself is a stand-in here."""

from __future__ import annotations

import inspect
import json
import shutil
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import veca_edge
from tests.modelfile.mlprogram.saved_packages import WEIGHTS, edit
from veca_edge.arrays import Image
from veca_edge.errors import VecaError, VecaWarning
from veca_edge.modelfile.mlpackage import MANIFEST_KEY, describe_package, function_name, read_package_file
from veca_edge.runtime.engines.coreml import CoreMLEngine


def _convert(folder: Path, name: str, **options: Any) -> Path:
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    given: dict[str, Any] = {"budgets": (8, 64), "image_sizes": (128,)} | options
    made = convert_package(
        read_checkpoint(default_checkpoint_path()), folder / f"{name}.mlpackage", PackageOptions(**given)
    )
    return next(iter(made))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    """The packaged model in int8, at 128 and 160 px."""
    return _convert(folder, "int8", image_sizes=(128, 160))


@pytest.fixture(scope="module")
def exact_package(folder: Path) -> Path:
    return _convert(folder, "fp32", quantize="fp32")


@pytest.fixture
def copied(package: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(package, tmp_path / "copy.mlpackage"))


def _load(path: Path, **more: Any) -> veca_edge.Model:
    with pytest.warns(VecaWarning, match="there is no Core ML on this system, so the package runs in numpy"):
        return veca_edge.load(path, **more)


def test_it_computes_what_the_checkpoint_computes(exact_package: Path, photo: Image) -> None:
    from veca_edge.model.checkpoint import default_checkpoint_path

    model, reference = _load(exact_package), veca_edge.load(default_checkpoint_path())
    assert (model.engine.name, model.budgets, model.name) == ("coreml", (8, 64), "everyday")
    for cores in model.budgets:
        found, expected = model(photo, cores=cores), reference(photo, cores=cores, image_size=128)
        assert found.logits is not None
        assert expected.logits is not None
        for a, b in (
            (found.embedding, expected.embedding),
            (found.features, expected.features),
            (found.logits, expected.logits),
        ):
            assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()
        assert found.top(1)[0].label == "milk"
        assert found.core_attention is None


def test_other_image_sizes_have_their_functions(package: Path, photo: Image) -> None:
    model = _load(package)
    assert model(photo, cores=8).features.shape == (8, 8, 192)
    assert model(photo, cores=8, image_size=160).features.shape == (10, 10, 192)
    with pytest.raises(
        VecaError, match=r"64 cores and an image of 192 x 192, only for 128 px, 160 px: convert with"
    ):
        model(photo, image_size=192)
    with pytest.raises(VecaError, match="16 cores: this model offers 8, 64"):
        model(photo, cores=16)
    model.close()


def test_a_classifier_gives_the_same_probabilities(folder: Path, package: Path, photo: Image) -> None:
    with_logits, classifier = _load(package), _load(_convert(folder, "classifier", classifier=True))
    a, b = with_logits(photo, cores=8), classifier(photo, cores=8)
    np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=2e-3, atol=1e-5)


def test_a_package_for_ios17_has_one_function(folder: Path, photo: Image) -> None:
    model = _load(_convert(folder, "old", minimum_target="iOS17", budgets=(8,)))
    assert model.budgets == (8,)
    assert model(photo).top(1)[0].label == "milk"


def test_streams_and_threads_say_what_to_do(package: Path) -> None:
    with pytest.raises(VecaError, match=r"cannot stream, since it does not come from a \.pte file"):
        _load(package).stream()
    with pytest.raises(VecaError, match="Core ML chooses its threads itself"):
        veca_edge.load(package, threads=2)
    with pytest.raises(VecaError, match="compute units 'gpu': use all, cpu_only"):
        veca_edge.load(package, compute_units="gpu")  # type: ignore[arg-type]


def test_compute_units_are_for_packages() -> None:
    from veca_edge.model.checkpoint import default_checkpoint_path

    with pytest.raises(VecaError, match="compute units are for Core ML packages"):
        veca_edge.load(default_checkpoint_path(), compute_units="cpu_only")


def test_a_view_of_attention_says_that_there_is_none(package: Path, photo: Image) -> None:
    from veca_edge.playback.views import VIEWS, Renderer

    result = _load(package)(photo, cores=8)
    pictures = {view: Renderer().render(view, photo, result) for view in VIEWS}
    assert (pictures["attention"] != photo).any()
    assert all(picture.shape == photo.shape for picture in pictures.values())


def test_names_of_functions() -> None:
    assert (function_name(8, 256, 256), function_name(8, 384, 256)) == ("cores_8", "cores_8_384")


def _flip(part: Path, at: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray((path / part).read_bytes())
        data[int(at * len(data))] ^= 1
        (path / part).write_bytes(data)

    return damage


def _manifest(**change: Any) -> Callable[[Path], None]:
    def changed(model: Any) -> None:
        entries = model.description.metadata.userDefined
        entries[MANIFEST_KEY] = json.dumps(json.loads(entries[MANIFEST_KEY]) | change)

    return lambda path: edit(path, changed)


def _foreign(path: Path) -> None:
    edit(path, lambda model: model.description.metadata.userDefined.pop(MANIFEST_KEY))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip(WEIGHTS, 0.5), "its weights are damaged"),
        (_flip(WEIGHTS, 0.999), "its weights are damaged"),
        (_manifest(program_digest="0" * 64), "its weights are damaged"),
        (_manifest(program_size=7), "its weights are damaged"),
        (_manifest(target="executorch"), "of a file for executorch"),
        (_manifest(budgets=[8]), "not for the budgets"),
        (_manifest(budgets=[]), "not for the budgets"),
        (_manifest(methods=["cores_8"]), "not those of its manifest"),
        (_manifest(feature_dim=64), "outputs of its function"),
        (_manifest(patch_size=8), "outputs of its function"),
        (_manifest(labels=["one"]), "outputs of its function"),
        (_manifest(format="other"), "not of veca-edge"),
        (_manifest(format_version=99), "update veca-edge"),
        (_manifest(name="\x1b[31m"), "name is not valid"),
        (_foreign, "made by another tool"),
        (lambda path: (path / WEIGHTS).unlink(), "weight.bin is missing"),
    ],
)
def test_damage_is_one_line(copied: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copied)
    with pytest.raises(VecaError, match=message) as caught:
        veca_edge.load(copied)
    assert str(copied) in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_inspect_tells(package: Path) -> None:
    facts = describe_package(package)
    assert (facts["kind"], facts["minimum_target"]) == ("Core ML package", "iOS 18, macOS 15")
    assert list(facts["functions"]) == ["cores_8", "cores_8_160", "cores_64", "cores_64_160"]
    assert facts["functions"]["cores_8_160"]["inputs"] == ["image: RGB image 160 x 160"]
    assert facts["functions"]["cores_64"]["operations"]["linear"] > 40
    weights = facts["weights"]
    assert weights["shared_bytes"] > 0.98 * weights["bytes"]
    assert weights["bytes_without_sharing"] > 3.9 * weights["bytes"]
    assert weights["bytes_by_type"]["int8"] > 0.9 * weights["bytes"]
    assert facts["manifest"]["budgets"] == [8, 64]
    json.dumps(facts)


def test_packages_of_others_are_described(copied: Path) -> None:
    _foreign(copied)
    assert describe_package(copied)["manifest"] is None


# -- Core ML itself, which is not here -------------------------------------------------------------------------


class _Runner:
    """Stands in for Core ML: what it gives by name."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        self.outputs, self.closed = outputs, False

    def run(self, function: str, image: Image) -> Mapping[str, Any]:
        self.asked = (function, image.shape)
        return self.outputs

    def close(self) -> None:
        self.closed = True


def _outputs(patches: int) -> dict[str, Any]:
    """What a function of the packaged model gives beside labels."""
    return {
        "embedding": np.ones((1, 192)),
        "features": np.ones((1, patches, 192)),
        "people": np.ones((1, patches, 112)),
    }


def test_probabilities_by_label_become_logits(folder: Path) -> None:
    file = read_package_file(_convert(folder, "by-label", classifier=True, budgets=(8,)))
    labels = file.manifest.labels
    chances = {label: (index + 1) / 11781 for index, label in enumerate(labels)}
    runner = _Runner(_outputs(64) | {"label": "x", "probabilities": chances})
    engine = CoreMLEngine(file, runner=runner)
    encoded = engine.encode(np.zeros((128, 128, 3), np.uint8), 8)
    assert runner.asked == ("cores_8", (128, 128, 3))
    assert encoded.logits is not None
    np.testing.assert_allclose(np.exp(encoded.logits), list(chances.values()), rtol=1e-5)
    assert encoded.embedding.dtype == np.float32
    engine.close()
    assert runner.closed


def test_outputs_of_another_shape_are_refused(package: Path) -> None:
    runner = _Runner({"embedding": np.ones((1, 7)), "features": np.ones((1, 64, 192)), "logits": np.ones((1, 153))})
    with pytest.raises(VecaError, match=r"its output embedding has shape \(1, 7\), expected \(1, 192\)"):
        CoreMLEngine(read_package_file(package), runner=runner).encode(np.zeros((128, 128, 3), np.uint8), 8)


class _Compiled:
    """Stands in for `CompiledMLModel`, with the signature of the installed one."""

    real: Any
    made: list[tuple[str, Any, str | None]]
    calls: list[str | None]

    def __init__(self, *given: Any, **named: Any) -> None:
        bound = inspect.signature(_Compiled.real).bind(*given, **named).arguments
        self.function = bound["function_name"]
        _Compiled.made.append((bound["path"], bound["compute_units"], self.function))

    def predict(self, *given: Any, **named: Any) -> dict[str, Any]:
        data = inspect.signature(_Compiled.real.predict).bind(self, *given, **named).arguments["data"]
        (image,) = data.values()
        assert (list(data), image.mode) == (["image"], "RGB")
        _Compiled.calls.append(self.function)
        patches = (image.size[0] // 16) ** 2
        return _outputs(patches) | {"logits": np.ones((1, 153))}


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine as a Mac whose Core ML is a stand-in; calls are bound to coremltools' own signatures."""
    import coremltools.models
    import coremltools.models.utils

    real = inspect.signature(coremltools.models.utils.compile_model)
    _Compiled.real, _Compiled.made, _Compiled.calls = coremltools.models.CompiledMLModel, [], []
    pictures = types.ModuleType("PIL.Image")

    class Picture:
        mode = "RGB"

        def __init__(self, array: Image) -> None:
            self.size = array.shape[1::-1]

    pictures.fromarray = Picture  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "PIL", types.ModuleType("PIL"))
    monkeypatch.setitem(sys.modules, "PIL.Image", pictures)
    sys.modules["PIL"].__spec__ = sys.modules["veca_edge"].__spec__
    monkeypatch.setattr(coremltools.models, "CompiledMLModel", _Compiled)
    monkeypatch.setattr(
        coremltools.models.utils,
        "compile_model",
        lambda *given, **named: real.bind(*given, **named).arguments["destination_path"],
    )


@pytest.mark.usefixtures("mac")
def test_on_a_mac_every_function_is_loaded_and_warmed_up(package: Path, photo: Image) -> None:
    import coremltools as ct

    with warnings.catch_warnings():
        warnings.simplefilter("error", VecaWarning)
        model = veca_edge.load(package, compute_units="cpu_and_ne")
    functions = ["cores_64", "cores_64_160", "cores_8", "cores_8_160"]
    assert sorted(str(function) for _, _, function in _Compiled.made) == functions
    assert {units for _, units, _ in _Compiled.made} == {ct.ComputeUnit.CPU_AND_NE}
    assert sorted(map(str, _Compiled.calls)) == functions
    compiled = Path(_Compiled.made[0][0])
    assert compiled.suffix == ".mlmodelc"
    _Compiled.calls.clear()
    assert model(photo, cores=8, image_size=160).features.shape == (10, 10, 192)
    assert _Compiled.calls == ["cores_8_160"]
    model.close()
    assert not compiled.parent.exists()


@pytest.mark.usefixtures("mac")
def test_what_core_ml_complains_about_is_one_line(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import coremltools.models.utils

    def refuse(*_: Any) -> str:
        raise RuntimeError("Error compiling model: too new")

    monkeypatch.setattr(coremltools.models.utils, "compile_model", refuse)
    with pytest.raises(VecaError, match="Core ML cannot load it: Error compiling model: too new"):
        veca_edge.load(package)
