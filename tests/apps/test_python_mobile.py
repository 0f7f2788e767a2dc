"""Python on phones, with stand-ins of the bridges to Java and Objective-C that hold to the documented signatures.

Nothing here has run on a phone.
"""

from __future__ import annotations

import ctypes
import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from veca_edge_mobile import android, ios, rubicon
from veca_edge_mobile.front import measured_front

import veca_edge
from tests.apps.java_bridge import Java, JavaModule
from tests.apps.objective_c import ObjectiveC
from tests.known import known
from tests.paths import ASSETS, GOLDEN, ROOT
from veca_edge import VecaError
from veca_edge.image.stills import read_image

MOBILE = ROOT / "apps" / "python-mobile"
VECTORS = GOLDEN / "end-to-end.json"

Image = NDArray[np.uint8]


def test_android_is_what_the_desktop_computes(default_model_file: Path, photo: Image) -> None:
    desktop, phone = veca_edge.load(default_model_file), android.open_model(default_model_file, java=Java())
    for cores, size in ((8, 128), (64, 96)):
        here, there = desktop(photo, cores, size), phone(photo, cores, size)
        np.testing.assert_array_equal(here.features, there.features)
        np.testing.assert_array_equal(known(here.logits), known(there.logits))
    moved = photo.copy()
    moved[:40, :40] = 255 - moved[:40, :40]
    frames = [photo, moved, photo]
    for here, there in zip(desktop.stream(16).over(frames), phone.stream(16).over(frames), strict=True):
        np.testing.assert_array_equal(known(here.computed), known(there.computed))
        np.testing.assert_array_equal(here.features, there.features)
    assert phone.quality == desktop.quality
    assert phone.digest == desktop.digest


def test_what_android_refuses(default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = android.open_model(default_model_file, java=Java())
    phone.close()
    with pytest.raises(VecaError, match="closed"):
        phone(np.zeros((128, 128, 3), np.uint8))
    with pytest.raises(VecaError, match="no such file"):
        android.open_model(tmp_path / "none.pte", java=Java())
    monkeypatch.setattr(JavaModule, "getMethods", lambda self: ["forward"])
    with pytest.raises(VecaError, match="not those of its manifest"):
        android.open_model(default_model_file, java=Java())

    def broken(*arguments: Any) -> None:
        raise RuntimeError("org.pytorch.executorch.ExecutorchRuntimeException: 0x20")

    monkeypatch.setattr(JavaModule, "load", broken)
    with pytest.raises(VecaError, match=r"cannot load it: .*0x20"):
        android.open_model(default_model_file, java=Java())


def test_the_governor_gets_points_from_the_cameras_frames(default_model_file: Path, photo: Image) -> None:
    phone = android.open_model(default_model_file, java=Java())
    table = known(phone.quality).at_size(128)
    phone.quality = replace(table, rows=tuple(row for row in table.rows if row.cores in (8, 64)))
    frames = [np.roll(photo, 8 * step, axis=1) if step % 3 else photo for step in range(24)]
    session = veca_edge.Session(phone, front=measured_front(phone, frames, 30.0))
    results = list(session.run(frames))
    assert {known(result.point).image_size for result in results} == {128}
    assert session.statistics.frames == len(frames)


class Activity:
    """The app's activity: photos as Android's bitmaps hold them."""

    def photo(self, name: str) -> bytearray:
        image = read_image(ASSETS / "photos" / name)
        rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        height, width = image.shape[:2]
        return bytearray(width.to_bytes(4, "big") + height.to_bytes(4, "big") + rgba.tobytes())


def test_the_android_app_checks_itself(
    default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "java", cast(ModuleType, Java()))
    app, prepare = import_module("check_app"), import_module("prepare")
    prepare.place(VECTORS, tmp_path / "data", tmp_path / "assets")
    monkeypatch.setattr(app, "DATA", tmp_path / "data")
    monkeypatch.setattr(app, "LOOK", 0.0)
    assert "no such file" in app.report(Activity())
    (tmp_path / "data" / "model.pte").write_bytes(default_model_file.read_bytes())
    lines = app.report(Activity()).splitlines()
    assert sum(line.startswith("ok ") for line in lines) == 9, lines
    assert "DeviceState" in lines[-1]
    assert len(list((tmp_path / "assets").glob("*.jpg"))) == 3


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with two budgets."""
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package
    from veca_edge.model.checkpoint import read_checkpoint

    path = tmp_path_factory.mktemp("package") / "model.mlpackage"
    checkpoint = read_checkpoint(GOLDEN / "published-96.pt")
    convert_package(checkpoint, path, PackageOptions("int8", budgets=(8, 24)))
    return path


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.filterwarnings("ignore::veca_edge.errors.VecaWarning")
def test_ios_is_what_the_interpreter_computes(package: Path, photo: Image, half: bool) -> None:
    bridge = ObjectiveC(half)
    desktop, phone = veca_edge.load(package), ios.open_model(package, "cpu_and_ne", bridge)
    for cores in (8, 24, 8):
        here, there = desktop(photo, cores), phone(photo, cores)
        # Exactly, in 16 bits too: the package computes in them.
        np.testing.assert_array_equal(here.features, there.features)
        np.testing.assert_array_equal(here.embedding, there.embedding)
    assert bridge.configured == [("cores_8", 3), ("cores_24", 3)]  # each function once
    assert bridge.pools == 0


@pytest.mark.parametrize(
    ("failing", "message"), [("compile", "compile it"), ("load", "load c"), ("predict", "run c")]
)
def test_what_ios_refuses(package: Path, photo: Image, failing: str, message: str) -> None:
    bridge = ObjectiveC()
    bridge.failing = failing
    with pytest.raises(VecaError, match=f"Core ML cannot {message}.*: because"):
        ios.open_model(package, bridge=bridge)(photo, 8)


def test_arrays_of_core_ml() -> None:
    memory = np.arange(24, dtype=np.float16)
    found = ios.as_array(memory.ctypes.data, [2, 3], [12, 2], 65552)
    np.testing.assert_array_equal(found, [[0, 2, 4], [12, 14, 16]])
    assert found.dtype == np.float32
    memory[:] = 0
    assert found[1, 2] == 16  # a copy
    float32 = 65568
    large = ([2**31], [1], float32), ([2**31], [0], float32)
    for shape, strides, kind in (([2], [1], 131104), ([2, 2], [1], float32), ([0], [1], float32), *large):
        with pytest.raises(VecaError):
            ios.as_array(memory.ctypes.data, shape, strides, kind)


def test_bgra() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    memory = (ctypes.c_uint8 * 40)()
    rubicon.fill_bgra(ctypes.addressof(memory), 20, image)
    assert list(memory[:8]) == [2, 1, 0, 255, 5, 4, 3, 255]
    assert list(memory[20:24]) == [11, 10, 9, 255]


def test_project_files_name_what_is_there() -> None:
    # Python reads TOML by itself from 3.11 on.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((MOBILE / "ios" / "pyproject.toml").read_text())["tool"]["briefcase"]
    app = project["app"]["vecacheck"]
    for folder in app["sources"]:
        assert (MOBILE / "ios" / folder / "__init__.py").is_file()
    assert (MOBILE / "ios" / app["requires"][-1] / "pyproject.toml").resolve() == ROOT / "pyproject.toml"
    assert (MOBILE / "ios" / project["license"]["file"]).resolve() == ROOT / "LICENSE"
    main = MOBILE / "android" / "app" / "src" / "main"
    name = "{http://schemas.android.com/apk/res/android}name"
    activity = ElementTree.parse(main / "AndroidManifest.xml").find("application/activity")
    assert activity is not None
    assert (main / "java/ai/vecaedge/check" / f"{activity.attrib[name][1:]}.java").is_file()
    assert '"check_app").callAttr("report"' in (main / "java/ai/vecaedge/check/MainActivity.java").read_text()
    assert json.loads(VECTORS.read_text())["tolerances"].keys() >= {"executorch-int8", "coreml-int8"}
