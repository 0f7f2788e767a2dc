"""Python on phones, with stand-ins of the bridges to Java and Objective-C that hold to the documented signatures.

Nothing here has run on a phone.
"""

from __future__ import annotations

import array
import ctypes
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import veca_edge
from tests.paths import ROOT
from veca_edge import VecaError
from veca_edge.modelfile.mlprogram.package import open_package
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.engines.executorch import Program
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

MOBILE = ROOT / "apps" / "python-mobile"
GOLDEN = ROOT / "tests" / "golden" / "end-to-end.json"
for folder in (MOBILE, MOBILE / "shared", MOBILE / "android" / "app" / "src" / "main" / "python"):
    sys.path.insert(0, str(folder))

from veca_edge_mobile import android, ios, rubicon  # noqa: E402
from veca_edge_mobile.front import measured_front  # noqa: E402

Image = NDArray[np.uint8]


class Floats(array.array):  # type: ignore[type-arg]
    """float[]: a sequence of numbers with the buffer protocol."""

    def __new__(cls, values: Any) -> Floats:
        return super().__new__(cls, "f", values)


class Longs(array.array):  # type: ignore[type-arg]
    """long[]."""

    def __new__(cls, values: Any) -> Longs:
        return super().__new__(cls, "q", values)


class JavaTensor:
    """org.pytorch.executorch.Tensor."""

    def __init__(self, values: Floats, shape: Longs) -> None:
        self.values, self._shape = values, shape

    @classmethod
    def fromBlob(cls, data: Floats, shape: Longs) -> JavaTensor:  # noqa: N802 - Java's name
        assert type(data) is Floats
        assert type(shape) is Longs
        assert len(data) == np.prod(shape)
        return cls(data, shape)

    def shape(self) -> Longs:
        return self._shape

    def getDataAsFloatArray(self) -> Floats:  # noqa: N802 - Java's name
        return self.values


class JavaValue:
    """org.pytorch.executorch.EValue."""

    def __init__(self, tensor: JavaTensor) -> None:
        self._tensor = tensor

    @classmethod
    def from_(cls, tensor: JavaTensor) -> JavaValue:
        assert type(tensor) is JavaTensor
        return cls(tensor)

    def toTensor(self) -> JavaTensor:  # noqa: N802 - Java's name
        return self._tensor


class JavaValues(list):  # type: ignore[type-arg]
    """EValue[]."""


class JavaModule:
    """org.pytorch.executorch.Module, computing with ExecuTorch's Python package."""

    LOAD_MODE_MMAP = 1

    def __init__(self, path: str) -> None:
        self._program: Program | None = Program(read_model_file(path), 1)
        self._names = read_model_file(path).manifest.methods

    @classmethod
    def load(cls, path: str, mode: int, threads: int) -> JavaModule:
        assert (type(path), mode, type(threads)) == (str, 1, int)
        return cls(path)

    def getMethods(self) -> list[str]:  # noqa: N802 - Java's name
        return list(self._names)

    def execute(self, method: str, inputs: JavaValues) -> list[JavaValue]:
        assert type(inputs) is JavaValues
        if self._program is None:
            return []  # as ExecuTorch's own, beside a line in the log
        tensors = [value.toTensor() for value in inputs]
        given = [np.array(t.values, np.float32).reshape(t.shape()) for t in tensors]
        outputs = self._program.run(method, given)
        return [JavaValue(JavaTensor(Floats(out.reshape(-1)), Longs(out.shape))) for out in outputs]

    def destroy(self) -> None:
        self._program = None


class Java:
    """Chaquopy's module `java`."""

    jfloat, jlong = "float", "long"
    classes: Mapping[str, type] = {
        "org.pytorch.executorch.Module": JavaModule,
        "org.pytorch.executorch.Tensor": JavaTensor,
        "org.pytorch.executorch.EValue": JavaValue,
    }

    def jclass(self, name: str) -> type:
        return self.classes[name]

    def jarray(self, kind: Any) -> type:
        return {"float": Floats, "long": Longs, JavaValue: JavaValues}[kind]


def test_android_is_what_the_desktop_computes(default_model_file: Path, photo: Image) -> None:
    desktop, phone = veca_edge.load(default_model_file), android.open_model(default_model_file, java=Java())
    for cores, size in ((8, 128), (64, 96)):
        here, there = desktop(photo, cores, size), phone(photo, cores, size)
        np.testing.assert_array_equal(here.features, there.features)
        np.testing.assert_array_equal(here.logits, there.logits)
    moved = photo.copy()
    moved[:40, :40] = 255 - moved[:40, :40]
    frames = [photo, moved, photo]
    for here, there in zip(desktop.stream(16).over(frames), phone.stream(16).over(frames), strict=True):
        np.testing.assert_array_equal(here.computed, there.computed)
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
    rows = [row for row in phone.quality["rows"] if row["image_size"] == 128 and row["cores"] in (8, 64)]
    phone.quality = {**phone.quality, "rows": rows}
    frames = [np.roll(photo, 8 * step, axis=1) if step % 3 else photo for step in range(24)]
    session = veca_edge.Session(phone, front=measured_front(phone, frames, 30.0))
    results = list(session.run(frames))
    assert {result.point.image_size for result in results} == {128}
    assert session.statistics.frames == len(frames)


class Activity:
    """The app's activity: photos as Android's bitmaps hold them."""

    def photo(self, name: str) -> bytearray:
        image = _photo(name)
        rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        height, width = image.shape[:2]
        return bytearray(width.to_bytes(4, "big") + height.to_bytes(4, "big") + rgba.tobytes())


def _photo(name: str) -> Image:
    from veca_edge.image.stills import read_image

    with resources.as_file(resources.files("veca_edge.assets") / "photos" / name) as path:
        return read_image(path)


def test_the_android_app_checks_itself(
    default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "java", Java())  # type: ignore[arg-type]
    app, prepare = import_module("check_app"), import_module("prepare")
    prepare.place(GOLDEN, tmp_path / "data", tmp_path / "assets")
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
    checkpoint = read_checkpoint(ROOT / "tests" / "golden" / "published-96.pt")
    convert_package(checkpoint, path, PackageOptions("int8", budgets=(8, 24)))
    return path


class Number:
    """NSNumber."""

    def __init__(self, value: int) -> None:
        self.value = value


class Multi:
    """MLMultiArray whose rows are padded, in 16-bit floats if asked for."""

    def __init__(self, values: NDArray[np.float32], half: bool) -> None:
        self._memory = np.full((*values.shape[:-1], values.shape[-1] + 5), np.nan, "f2" if half else "f4")
        self._memory[..., : values.shape[-1]] = values
        size = self._memory.itemsize
        self.shape = [Number(n) for n in values.shape]
        self.strides = [Number(n // size) for n in self._memory.strides]
        self.dataType = 65552 if half else 65568
        self.dataPointer = self._memory.ctypes.data


class Outputs:
    """MLFeatureProvider."""

    def __init__(self, values: Mapping[str, Multi]) -> None:
        self._values = values
        self.featureNames = SimpleNamespace(allObjects=list(values))

    def featureValueForName(self, name: str) -> Any:  # noqa: N802 - Apple's name
        return SimpleNamespace(multiArrayValue=self._values[name])


class ObjectiveC:
    """The bridge, with Core ML's classes as far as they are used; the interpreter computes.

    Attributes:
        configured: function name and compute units of each model that was loaded.
        pools: autorelease pools that are open.
        failing: the method that fails from now on.
    """

    def __init__(self, half: bool = False) -> None:
        self._half = half
        self.configured: list[tuple[str | None, int]] = []
        self.pools = 0
        self.failing = ""

    def load_class(self, name: str) -> Any:
        return {
            "NSURL": SimpleNamespace(fileURLWithPath=lambda path: ("url", path)),
            "MLModel": SimpleNamespace(compileModelAtURL=self._compile, modelWithContentsOfURL=self._load),
            "MLModelConfiguration": SimpleNamespace(
                alloc=lambda: SimpleNamespace(init=lambda: SimpleNamespace(functionName=None, computeUnits=2))
            ),
            "MLDictionaryFeatureProvider": SimpleNamespace(
                alloc=lambda: SimpleNamespace(initWithDictionary=self._features)
            ),
        }[name]

    def plain(self, value: Any) -> Any:
        if isinstance(value, Number):
            return value.value
        return [self.plain(item) for item in value] if isinstance(value, list) else value

    def error(self) -> Any:
        return SimpleNamespace(reference="slot", text=lambda: "because")

    @contextmanager
    def pool(self) -> Iterator[None]:
        self.pools += 1
        yield
        self.pools -= 1

    @contextmanager
    def picture(self, image: Image) -> Iterator[Any]:
        height, width, _ = image.shape
        stride = 4 * width + 64
        memory = np.zeros((height, stride), np.uint8)
        rubicon.fill_bgra(memory.ctypes.data, stride, image)
        assert not memory[:, 4 * width :].any()
        yield memory[:, : 4 * width].reshape(height, width, 4)

    def _compile(self, url: Any, error: Any) -> Any:
        assert (url[0], error, self.pools) == ("url", "slot", 1)
        return None if self.failing == "compile" else ("compiled", url[1])

    def _load(self, url: Any, configuration: Any, error: Any) -> Any:
        assert (url[0], error) == ("compiled", "slot")
        if self.failing == "load":
            return None
        self.configured.append((configuration.functionName, configuration.computeUnits))
        interpreter = Interpreter(open_package(Path(url[1])), configuration.functionName, "fp16")
        return SimpleNamespace(predictionFromFeatures=lambda given, error: self._predict(interpreter, given, error))

    def _features(self, values: Mapping[str, Any], error: Any) -> Any:
        assert error == "slot"
        return values

    def _predict(self, interpreter: Interpreter, given: Mapping[str, Any], error: Any) -> Any:
        assert (error, self.pools) == ("slot", 1)
        if self.failing == "predict":
            return None
        bgra = given["image"]
        assert (bgra[..., 3] == 255).all()
        outputs = interpreter.run({"image": np.ascontiguousarray(bgra[..., 2::-1])})
        return Outputs({name: Multi(np.asarray(value, np.float32), self._half) for name, value in outputs.items()})


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
    assert json.loads(GOLDEN.read_text())["tolerances"].keys() >= {"executorch-int8", "coreml-int8"}
