"""The Swift package: every source parses, its constants are Python's, and where a Swift compiler is, it is tested.

`VECA_EDGE_SWIFT` names a `swift` that is not on the path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from tests.apps.galleries import check_gallery
from tests.golden.dense_vectors import PEOPLE
from tests.paths import ROOT
from veca_edge.gallery import archive, file, gallery, index
from veca_edge.governor import heat, points, policy
from veca_edge.governor.settings import PRESETS, Settings
from veca_edge.image.preprocessing import IMAGENET_MEAN, IMAGENET_STD, MAX_ASPECT, MAX_IMAGE_SIZE, Preprocessing
from veca_edge.modelfile import means
from veca_edge.modelfile.heads import (
    MAX_CELLS,
    MAX_CLASSES,
    MAX_HEADS,
    TAKEN,
    DenseHead,
)
from veca_edge.modelfile.manifest import FORMAT, FORMAT_VERSION, LIMITS, Manifest
from veca_edge.modelfile.mlpackage import MANIFEST_KEY
from veca_edge.modelfile.pte import Head, ModelFile, write_model_file
from veca_edge.runtime.dense import MAX_SIDE
from veca_edge.runtime.streaming import allowance, cache, change, stream

PACKAGE = ROOT / "apps" / "ios"
CORE, PLATFORM, SAMPLE = (PACKAGE / name for name in ("Sources/VecaEdgeCore", "Sources/VecaEdge", "Sample/Sources"))
STUBS = Path(__file__).parent / "swift_stubs"
# Those that others import come first.
STUB_ORDER = (
    *("CoreVideo", "CoreML", "CoreGraphics", "ImageIO", "CryptoKit"),
    *("AVFoundation", "UIKit", "SwiftUI", "ExecuTorch"),
)
LONGEST_FILE, LONGEST_LINE = 400, 120


def sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders or (PACKAGE, STUBS) for path in folder.rglob("*.swift") if ours(path))


def ours(path: Path) -> bool:
    return ".build" not in path.parts


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser(Language(tree_sitter_swift.language()))


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_a_source_parses(path: Path, parser: Parser) -> None:
    text = path.read_bytes()
    tree = parser.parse(text)
    wrong = [node.start_point for node in nodes(tree.root_node) if node.is_error or node.is_missing]
    assert not wrong, f"{path}: rows and columns {wrong}"
    lines = text.decode().splitlines()
    assert len(lines) < LONGEST_FILE
    assert max(map(len, lines)) <= LONGEST_LINE
    assert not any(line != line.rstrip() or "\t" in line for line in lines)


def test_the_guides_code_parses(parser: Parser) -> None:
    found = re.findall(
        r"^```swift\n(.*?)^```", (PACKAGE / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(found) >= 4
    for text in found:
        root = parser.parse(text.encode()).root_node
        assert not [node for node in nodes(root) if node.is_error or node.is_missing], text


def test_every_error_is_documented() -> None:
    cases = re.findall(r"^    case (\w+)", (CORE / "VecaError.swift").read_text("utf-8"), re.MULTILINE)
    guide = (PACKAGE / "README.md").read_text("utf-8")
    assert len(cases) > 8
    assert not [case for case in cases if f"`{case}`" not in guide]


def test_the_parser_sees_what_is_wrong(parser: Parser) -> None:
    for text in (b"func f( { }", b"let x = = 1", b"struct A { var b: Int"):
        assert any(node.is_error or node.is_missing for node in nodes(parser.parse(text).root_node)), text


def imports(path: Path) -> set[str]:
    return set(re.findall(r"^(?:@\w+ )?import (\w+)", path.read_text("utf-8"), re.MULTILINE))


def test_the_core_needs_nothing_of_apples() -> None:
    found = {name for path in sources(CORE) for name in imports(path)}
    assert found == {"Foundation"}
    text = "".join(path.read_text("utf-8") for path in sources(CORE))
    assert "#if" not in text
    assert "canImport" not in text


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def swift_numbers(text: str) -> dict[str, float]:
    """`var name = number`, with the products and quotients that stand in for numbers."""
    found = re.findall(r"(?:let|var|settings\.)\s*(\w+)(?:: \w+)? = ([-\d._e/* ]+)$", text, re.MULTILINE)
    return {name: float(eval(value)) for name, value in found}


def test_the_presets_are_pythons() -> None:
    text = (CORE / "Governor" / "GovernorSettings.swift").read_text("utf-8")
    start, *presets = re.split(r"public static let (?=quality|saver)", text)
    balanced = swift_numbers(start)
    names = {camel(field.name): field.name for field in fields(Settings)}
    assert balanced.keys() == names.keys()
    found = {"balanced": balanced}
    for preset in presets:
        name, body = re.match(r"(\w+)(.*?return settings)", preset, re.DOTALL).groups()  # type: ignore[union-attr]
        found[name] = balanced | swift_numbers(body)
    assert found.keys() == PRESETS.keys()
    for name, settings in PRESETS.items():
        assert found[name] == {swift: getattr(settings, python) for swift, python in names.items()}, name


def constant(name: str) -> float:
    """A number that is declared once in the core."""
    text = "\n".join(path.read_text("utf-8") for path in sources(CORE))
    found = [
        value
        for declared, value in re.findall(r"let (\w+)(?:: \w+)? = ([-\d._e]+)$", text, re.MULTILINE)
        if declared == name
    ]
    assert len(found) == 1, name
    return float(found[0])


CONSTANTS: dict[str, Any] = {
    "indifference": points.INDIFFERENCE,
    "saving": points.SAVING,
    "lateness": points.LATENESS,
    "slowest": points.SLOWEST,
    "rounding": points.ROUNDING,
    "worth": points.WORTH,
    "smoothnessFall": points.SMOOTHNESS,
    "degreesPerHeadroom": heat.DEGREES,
    "mostHeadroom": heat.MOST_HEADROOM,
    "leastSlowdown": policy.LEAST_SLOWDOWN,
    "mostSlowdown": policy.MOST_SLOWDOWN,
    "mostTail": policy.MOST_TAIL,
    "clockLimit": policy.CLOCK,
    "untimedStep": policy.UNTIMED_STEP,
    "noiseMargin": change.NOISE_MARGIN,
    "noiseQuantile": change.NOISE_QUANTILE,
    "noiseMemory": change.NOISE_MEMORY,
    "noiseSample": change.NOISE_SAMPLE,
    "roughness": change.ROUGHNESS,
    "rotationFrames": change.ROTATION_FRAMES,
    "patchStep": change.STEP,
    "strong": change.STRONG,
    "hide": cache.HIDE,
    "againWithin": stream.AGAIN,
    "callCost": allowance.CALL,
    "fullCore": allowance.CORE,
    "stepPatch": allowance.STEP_PATCH,
    "stepCore": allowance.STEP_CORE,
    "stepRemembered": allowance.STEP_REMEMBERED,
    "planCost": allowance.PLAN,
    "lookCost": allowance.LOOK,
    "lookPatch": allowance.LOOK_PATCH,
    "takenShare": allowance.TAKEN,
    "keepCost": allowance.KEEP,
    "keepPatch": allowance.KEEP_PATCH,
    "mostLeft": allowance.MOST,
    "earnedPerFrame": allowance.EARNED,
    "mostPixels": MAX_IMAGE_SIZE,
    "mostAspect": MAX_ASPECT,
    "newestVersion": FORMAT_VERSION,
    "mostCells": MAX_CELLS,
    "mostClasses": MAX_CLASSES,
    "mostHeads": MAX_HEADS,
    "longestSideOfResults": MAX_SIDE,
    "longestName": gallery.LONGEST_LABEL,
    "newestGalleryVersion": file.FORMAT_VERSION,
    "mostExamples": file.MOST_EXAMPLES,
    "mostWidth": LIMITS["output_dim"],
    "shownDigest": file.SHOWN_DIGEST,
    "largestMean": means.LARGEST,
    "familiarMean": index.FAMILIAR[0],
    "familiarDeviation": index.FAMILIAR[1],
    "strangerMean": index.STRANGER[0],
    "strangerDeviation": index.STRANGER[1],
    "strangerGrowth": index.STRANGER_GROWTH,
    "priorExamples": index.PRIOR,
    "oneInTen": index.ONE_IN_TEN,
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_pythons(name: str) -> None:
    assert constant(name) == CONSTANTS[name]


def test_words_are_pythons() -> None:
    def text(path: Path) -> str:
        return path.read_text("utf-8")

    preprocessing = text(CORE / "Camera" / "Preprocessing.swift")
    assert f"imagenetMean = {list(IMAGENET_MEAN)}" in preprocessing
    assert f"imagenetStd = {list(IMAGENET_STD)}" in preprocessing
    assert f'format = "{FORMAT}"' in text(CORE / "Runtime" / "Manifest.swift")
    names = text(CORE / "Gallery" / "GalleryFile.swift")
    assert f'galleryFormat = "{file.FORMAT}"' in names
    assert f'manifest = "{file.MANIFEST}"' in names
    assert f'vectors = "{file.EXAMPLES}"' in names
    assert f'hasSuffix("{archive.ENDING}")' in names
    assert f'manifestKey = "{MANIFEST_KEY}"' in text(PLATFORM / "CoreMLEngine.swift")
    taken = re.search(r"let taken: Set<String> = \[(.*?)\]", text(CORE / "Runtime" / "DenseHead.swift"), re.DOTALL)
    assert taken
    assert set(re.findall(r'"(\w+)"', taken[1])) == TAKEN
    assert f"skinSensors = {json.dumps(heat.SKIN)}" in text(CORE / "Governor" / "Heat.swift")
    assert f"rateDivisors = {list(points.DIVISORS)}" in text(CORE / "Governor" / "QualityTable.swift")
    defaults = re.search(r"checkedSensitivity: 4.5.*?\)", text(CORE / "Runtime" / "ChangeSettings.swift"))
    plain = change.ChangeSettings()
    assert defaults is not None
    assert defaults[0] == (
        f"checkedSensitivity: {plain.sensitivity:g}, patience: {plain.patience}, patchBudget: nil, "
        f"refreshFrames: {plain.refresh_frames}, keyframeShare: {plain.keyframe_share}, drift: {plain.drift})"
    )


def test_a_program_is_mapped_into_memory() -> None:
    """ExecuTorch reads the whole file where nobody asks for anything else."""
    text = "\n".join(path.read_text("utf-8") for path in sources(PLATFORM))
    assert re.findall(r"\bModule\(filePath: .*\)", text) == ["Module(filePath: file.url.path, loadMode: .mmap)"]


def test_nothing_crashes_on_purpose() -> None:
    """A phone must not end because a file or a camera is odd: no forced unwrap, no `try!`, no fatalError."""
    for path in sources(CORE, PLATFORM):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            code = line.split("//")[0]
            assert not re.search(r"try!|as!|fatalError|[\w)\]]!(?![=\w])", code), f"{path.name}, line {number}"


# What a compiler adds.


@pytest.fixture(scope="module")
def swift() -> Path:
    """The `swift` command: Debian keeps it apart, because another program has this name."""
    places = (os.environ.get("VECA_EDGE_SWIFT"), "/usr/libexec/swift/bin/swift", shutil.which("swift"))
    for place in places:
        if place and Path(place).exists():
            shown = subprocess.run([place, "--version"], capture_output=True, text=True, check=False).stdout
            if "Swift version" in shown:
                return Path(place)
    pytest.skip("no Swift compiler here (Debian 13: apt install swiftlang, or VECA_EDGE_SWIFT)")


def run(command: list[str], **variables: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | variables, timeout=540
    )
    shown = done.stdout + done.stderr
    # A compiler and a test run say much; what is wrong with them stands in these lines.
    wrong = [line for line in shown.splitlines() if "error:" in line] or shown.splitlines()
    assert done.returncode == 0, "\n".join(wrong[-30:])
    return shown


def write_model(folder: Path) -> None:
    """A small model file with a random core bank and head, and beside it what is in it."""
    random = np.random.default_rng(7)

    def numbers(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return random.standard_normal(shape).astype(np.float32)

    program = b"\0\0\0\0ET12" + random.bytes(300)
    labels = ("apple", "pear", "naïve")
    manifest = Manifest(
        name="small", target="executorch", quantization="int8", family="custom", hidden_dim=8, feature_dim=4,
        num_heads=2, num_layers=2, patch_size=8, num_cores=16, chunk_size=8, budgets=(8, 16), image_size=48,
        max_patches=256, preprocessing=Preprocessing(48), labels=labels, methods=("encode", "step", "encode_64"),
        program_size=len(program), program_digest=hashlib.sha256(program).hexdigest(), weight_bytes=1,
        source_digest="", made_with={}, verification={}, heads={PEOPLE.name: PEOPLE.to_dict()},
    )  # fmt: skip
    head, dense = Head(numbers(3, 8), numbers(3)), DenseHead(PEOPLE, numbers(8, 4), numbers(8))
    model = ModelFile(folder / "model.pte", manifest, numbers(16, 8), numbers(16, 2), head, (dense,))
    write_model_file(model, program)
    expected = {
        "program_digest": manifest.program_digest,
        "program_size": manifest.program_size,
        "labels": labels,
        "encode_buckets": [name for _, name in manifest.size_buckets("encode")],
        "cores": model.cores.ravel().tolist(),
        "coordinates": model.coordinates.ravel().tolist(),
        "head_weight": head.weight.ravel().tolist(),
        "head_bias": head.bias.tolist(),
        "dense_weight": dense.weight.ravel().tolist(),
        "dense_bias": dense.bias.tolist(),
    }
    (folder / "expected.json").write_text(json.dumps(expected), "utf-8")


@pytest.fixture(scope="module")
def built(swift: Path) -> Path:
    """The folder of the built core; built again only where something changed."""
    run([str(swift), "build", "--build-tests", "--package-path", str(PACKAGE)])
    return Path(run([str(swift), "build", "--show-bin-path", "--package-path", str(PACKAGE)]).strip())


def test_the_core_passes_its_own_tests(swift: Path, built: Path) -> None:
    """Over the golden files, and over a file that Python wrote. Beside the build, where every compiler may read."""
    folder = built / "files"
    folder.mkdir(exist_ok=True)
    write_model(folder)
    shown = run(
        [str(swift), "test", "--skip-build", "--package-path", str(PACKAGE)], VECA_EDGE_SWIFT_FILES=str(folder)
    )
    # The last line of this kind is the sum of the suites.
    executed = re.findall(r"Executed (\d+) tests?, with (?:(\d+) tests? skipped and )?0 failures", shown)
    assert executed, shown[-2000:]
    number, skipped = executed[-1]
    assert int(number) >= 40
    assert not skipped, "nothing may be skipped here"
    check_gallery(folder / "swift.npz", "\u00e9crit par Swift")


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac builds it with the frameworks themselves")
def test_the_platform_part_and_the_sample_type_check_against_stand_ins(swift: Path, built: Path) -> None:
    """Without Apple's frameworks: what they offer is written down from their documentation in `swift_stubs`."""
    folder = built / "stubs"
    folder.mkdir(exist_ok=True)
    compiler = str(swift.with_name("swiftc"))
    for name in STUB_ORDER:
        module = str(folder / f"{name}.swiftmodule")
        source = str(STUBS / f"{name}.swift")
        run([compiler, "-emit-module", "-module-name", name, "-o", module, "-I", str(folder), source])
    modules = ["-swift-version", "5", "-I", str(folder), "-I", str(built), "-I", str(built / "Modules")]
    files = [str(path) for path in sources(PLATFORM)]
    platform = ["-module-name", "VecaEdge", *modules, *files]
    shown = run([compiler, "-typecheck", *platform])
    run([compiler, "-emit-module", *platform, "-o", str(folder / "VecaEdge.swiftmodule")])
    app = [str(path) for path in sources(SAMPLE)]
    shown += run([compiler, "-typecheck", "-module-name", "VecaEdgeSample", *modules, *app])
    assert "warning" not in shown, shown
