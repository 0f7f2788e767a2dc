"""From checkpoint to Core ML package: what is inside, what is refused, what is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.converters.checkpoints import KINDS, random_checkpoint, with_a_wrong_weight  # noqa: E402
from tests.modelfile.mlprogram.saved_packages import edit, make_older  # noqa: E402
from veca_edge.converters.coreml.convert import PackageOptions, convert_package, distinct  # noqa: E402
from veca_edge.converters.coreml.package import SPEC, put_in_place  # noqa: E402
from veca_edge.converters.coreml.verification import verify_package  # noqa: E402
from veca_edge.converters.recipes import QuantizationRecipe, ready_recipe  # noqa: E402
from veca_edge.converters.verification import Reference, Verification  # noqa: E402
from veca_edge.errors import VecaError, VecaWarning  # noqa: E402
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, read_checkpoint  # noqa: E402
from veca_edge.modelfile.manifest import Manifest  # noqa: E402
from veca_edge.modelfile.mlpackage import read_package_file  # noqa: E402
from veca_edge.modelfile.mlprogram.package import open_package  # noqa: E402
from veca_edge.photos.samples import sample_images  # noqa: E402
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter  # noqa: E402

# Nothing but these may reach a device: each is one operation there, and this project's interpreter knows it.
OPERATIONS = {
    *("add", "cast", "concat", "const", "constexpr_blockwise_shift_scale", "conv", "cos", "layer_norm", "linear"),
    *("mul", "reshape", "scaled_dot_product_attention", "silu", "sin", "slice_by_size", "split", "squeeze", "sub"),
    *("tanh", "transpose"),
}


def _convert(checkpoint: Checkpoint, path: Path, **options: Any) -> Manifest:
    return convert_package(checkpoint, path, PackageOptions(**options))[path]


def _outcome(path: Path, checkpoint: Checkpoint, images: int = 1) -> Verification:
    return verify_package(path, checkpoint, sample_images()[:images])


def _size(package: Path) -> int:
    return sum(part.stat().st_size for part in package.rglob("*") if part.is_file())


@pytest.mark.parametrize("overrides", KINDS, ids=str)
@pytest.mark.parametrize("target", ["iOS18", "iOS17"])
def test_every_kind_of_model_converts_exactly(tmp_path: Path, overrides: dict[str, Any], target: Any) -> None:
    checkpoint = random_checkpoint(labels=("a", "b", "c"), **overrides)
    options = PackageOptions("fp32", minimum_target=target)
    for path in convert_package(checkpoint, tmp_path / "m.mlpackage", options):
        outcome = _outcome(path, checkpoint)
        assert outcome.passed, outcome.complaint()
        assert all(row.top1_agreement == 1 for row in outcome.rows)


def test_only_known_operations_reach_a_device(tmp_path: Path) -> None:
    path = tmp_path / "m.mlpackage"
    _convert(random_checkpoint(), path)
    package = open_package(path)
    assert set(package.functions) == {"cores_8", "cores_16"}
    assert package.default_function == "cores_16"
    for function in package.functions.values():
        assert set(function.operation_counts) <= OPERATIONS
        assert function.operation_counts["scaled_dot_product_attention"] == 4  # two a layer


def test_the_graph_of_a_function_stays_small(tmp_path: Path) -> None:
    checkpoint, layers = random_checkpoint(num_layers=6), 6
    sizes = {}
    for budgets in ((8,), (8, 16)):
        path = tmp_path / f"{len(budgets)}.mlpackage"
        _convert(checkpoint, path, budgets=budgets)
        sizes[len(budgets)] = (path / SPEC).stat().st_size
    assert sizes[2] - sizes[1] < 6000 * layers


def test_eight_functions_of_small_share_their_weights(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(hidden_dim=384, num_heads=6, num_layers=12, ffn_dim=1024, num_cores=64)
    one, all_of_them = tmp_path / "one.mlpackage", tmp_path / "all.mlpackage"
    single, several = _convert(checkpoint, one, budgets=(64,)), _convert(checkpoint, all_of_them)
    assert len(several.methods) == 8
    assert several.weight_bytes == single.weight_bytes
    # What eight functions add is their graphs; weights grow with the square of the width, graphs do not.
    assert _size(all_of_them) <= 1.02 * _size(one)


def test_several_image_sizes_share_the_weights(tmp_path: Path) -> None:
    checkpoint, path = random_checkpoint(), tmp_path / "m.mlpackage"
    manifest = _convert(checkpoint, path, image_sizes=(64, 96), budgets=(8, 16))
    assert manifest.methods == ("cores_8", "cores_16", "cores_8_96", "cores_16_96")
    assert (manifest.image_size, manifest.max_patches, manifest.budgets) == (64, 36, (8, 16))
    file = read_package_file(path)
    assert file.package.default_function == "cores_16"
    assert file.sizes(8) == {(64, 64): "cores_8", (96, 96): "cores_8_96"}
    tables = 2 * 2 * 36 * 32  # cosine and sine of 36 patches, 32 channels of a head, two bytes each
    assert manifest.weight_bytes - _convert(checkpoint, tmp_path / "n.mlpackage").weight_bytes < tables + 1000
    assert _outcome(path, checkpoint).passed


def test_the_package_describes_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.mlpackage"
    manifest = _convert(random_checkpoint(labels=("a", "b")), path, image_sizes=(96,))
    file = read_package_file(path)
    assert file.manifest == manifest
    assert (manifest.target, manifest.quantization, manifest.image_size) == ("coreml", "int8", 96)
    assert file.package.metadata["author"] == "veca-edge"
    assert "Unknown" in file.package.metadata["license"]
    assert file.package.metadata["versionString"]
    assert "8, 16 cores" in file.package.metadata["shortDescription"]
    (image,), outputs = file.package.inputs["cores_8"], file.package.outputs["cores_8"]
    assert (image.name, image.kind, image.element, image.shape) == ("image", "image", "RGB", (96, 96))
    assert [(o.name, o.shape) for o in outputs] == [
        ("embedding", (1, 64)),
        ("features", (1, 36, 64)),
        ("logits", (1, 2)),
    ]
    assert all(feature.description for feature in (image, *outputs))
    assert (path / SPEC).stat().st_mode & 0o777 == (
        path / SPEC.parent / "weights" / "weight.bin"
    ).stat().st_mode & 0o777


def test_damage_of_the_program_is_noticed_and_older_packages_are_told(tmp_path: Path) -> None:
    path = tmp_path / "m.mlpackage"
    _convert(random_checkpoint(), path)
    whole, generator = (path / SPEC).read_bytes(), np.random.default_rng(0)
    assert len(read_package_file(path).manifest.specification_digest) == 64
    for place in generator.integers(len(whole), size=60):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(generator.integers(8))
        (path / SPEC).write_bytes(flipped)
        with pytest.raises(VecaError):
            read_package_file(path)
    (path / SPEC).write_bytes(whole)
    edit(path, make_older)
    with pytest.warns(VecaWarning, match="made by an older veca-edge"):
        read_package_file(path)


def test_the_packaged_models_licence_is_known(tmp_path: Path) -> None:
    path = tmp_path / "m.mlpackage"
    _convert(read_checkpoint(default_checkpoint_path()), path, budgets=(8,))
    assert open_package(path).metadata["license"].startswith("Apache-2.0")


def test_a_classifier_gives_label_and_probabilities(tmp_path: Path) -> None:
    checkpoint, path = random_checkpoint(labels=("crane", "cat", "crane")), tmp_path / "m.mlpackage"
    manifest = _convert(checkpoint, path, classifier=True, quantize="fp32")
    assert manifest.labels == ("crane", "cat", "crane (2)")
    outputs = {feature.name: feature.kind for feature in open_package(path).outputs["cores_8"]}
    assert outputs == {"embedding": "array", "features": "array", "label": "string", "probabilities": "dictionary"}
    image = np.ascontiguousarray(sample_images()[1][:64, :64])
    found, expected = Interpreter(open_package(path)).run({"image": image}), Reference(checkpoint)(image, 16)
    assert expected.logits is not None
    shares = np.exp(expected.logits - expected.logits.max())
    np.testing.assert_allclose(found["probabilities"].reshape(-1), shares / shares.sum(), atol=1e-5)
    assert str(found["label"]) == manifest.labels[int(shares.argmax())]
    assert _outcome(path, checkpoint).passed


def test_labels_become_distinct() -> None:
    assert distinct(("a", "b", "a", "a (2)", "a")) == ("a", "b", "a (2)", "a (2) (2)", "a (3)")


def test_ios_17_gets_a_package_per_budget(tmp_path: Path) -> None:
    options, checkpoint = PackageOptions(minimum_target="iOS17"), random_checkpoint()
    written = convert_package(checkpoint, tmp_path / "Veca.mlpackage", options)
    assert [path.name for path in written] == ["Veca-cores_8.mlpackage", "Veca-cores_16.mlpackage"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for path in written:
        file = read_package_file(path)
        assert file.package.version == 8
        assert set(file.package.functions) == {"main"}
        assert "scaled_dot_product_attention" not in file.package.function().operation_counts
        assert _outcome(path, checkpoint).passed


@pytest.mark.parametrize("quantize", ["fp16", "int8", "palette6", "int4", "palette4"])
def test_a_trained_model_keeps_its_answers(tmp_path: Path, quantize: str) -> None:
    checkpoint, path = read_checkpoint(default_checkpoint_path()), tmp_path / "m.mlpackage"
    manifest = _convert(checkpoint, path, quantize=quantize, budgets=(8, 64))
    outcome = _outcome(path, checkpoint, images=4)
    assert outcome.passed, outcome.complaint()
    bits = {"fp16": 16, "int8": 8, "palette6": 6, "int4": 4.5, "palette4": 4}[quantize]
    expected = checkpoint_matrices(checkpoint) * bits / 8
    assert expected < manifest.weight_bytes < expected + 640_000  # patch embedding, head, tables, biases


def test_a_recipe_says_how_each_layer_is_stored(tmp_path: Path) -> None:
    checkpoint, path = read_checkpoint(default_checkpoint_path()), tmp_path / "m.mlpackage"
    sizes = {}
    for name, layers in {"plain": {}, "mixed": {"blocks.0.down": "int4", "patch": "fp32"}}.items():
        recipe = QuantizationRecipe(name, "int8", layers)  # type: ignore[arg-type]
        manifest = _convert(checkpoint, path, recipe=recipe, budgets=(8,))
        sizes[name] = manifest.weight_bytes
        outcome = _outcome(path, checkpoint)
        assert outcome.passed, outcome.complaint()
    assert (manifest.quantization, manifest.precision["blocks.0.down"]) == ("mixed", "int4")
    down, patch = (checkpoint.state[f"{name}.weight"].numel() for name in ("blocks.0.fc2", "patch_embed.proj"))
    assert sizes["mixed"] - sizes["plain"] == pytest.approx(patch - down * 3.5 / 8, rel=0.02)


def checkpoint_matrices(checkpoint: Checkpoint) -> int:
    """How many weights the blocks' matrices have."""
    return sum(v.numel() for name, v in checkpoint.state.items() if name.startswith("blocks.") and v.ndim == 2)


def test_a_wrong_weight_is_noticed(tmp_path: Path) -> None:
    checkpoint, path = random_checkpoint(), tmp_path / "m.mlpackage"
    _convert(checkpoint, path, quantize="fp32")
    assert not _outcome(path, with_a_wrong_weight(checkpoint)).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budgets": (12,)}, "12 cores: use a multiple of 8"),
        ({"budgets": (8, 24)}, "24 cores"),
        ({"image_sizes": (64, 100)}, "image size 100 is not a multiple of the patch size"),
        ({"quantize": "int3"}, "unknown quantization"),
        ({"classifier": True}, "no head"),
        ({"minimum_target": "iOS17", "image_sizes": (64, 96)}, "one --image-size"),
        ({"minimum_target": "iOS17", "quantize": "palette4"}, "palette4 needs iOS 18"),
        ({"minimum_target": "iOS17", "recipe": ready_recipe("int4")}, "int4 needs iOS 18"),
        ({"recipe": ready_recipe("fp32")}, "a recipe must not be named fp32"),
        ({"recipe": QuantizationRecipe("mixed", "int8", {"blocks.9.up": "int4"})}, r"names blocks\.9\.up"),
    ],
    ids=str,
)
def test_impossible_options_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(VecaError, match=message):
        _convert(random_checkpoint(), tmp_path / "m.mlpackage", **options)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file.mlpackage").write_text("mine")
    (tmp_path / "folder.mlpackage").mkdir()
    (tmp_path / "folder.mlpackage" / "diary.txt").write_text("mine")
    for name, message in {
        "missing/m.mlpackage": "there is no folder",
        "m.pte": "ends in .mlpackage",
        "file.mlpackage": "a file has this name",
        "folder.mlpackage": "not a Core ML package: choose another name",
    }.items():
        with pytest.raises(VecaError, match=message):
            _convert(random_checkpoint(), tmp_path / name)
    assert (tmp_path / "folder.mlpackage" / "diary.txt").read_text() == "mine"
    assert sorted(part.name for part in tmp_path.iterdir()) == ["file.mlpackage", "folder.mlpackage"]


def test_the_old_package_comes_back_if_the_new_one_cannot_be_placed(tmp_path: Path) -> None:
    path = tmp_path / "m.mlpackage"
    _convert(random_checkpoint(), path, budgets=(8,))
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "nowhere.mlpackage", path)
    assert read_package_file(path).manifest.budgets == (8,)
    assert list(tmp_path.iterdir()) == [path]
