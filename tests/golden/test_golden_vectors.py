"""The shared vectors are what the script writes, and what the product does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.golden import change_traces, generate, stream_traces
from tests.golden.frames import Frame, Step
from tests.golden.preprocessing_vectors import TOLERANCE
from tests.golden.result_vectors import result_of
from tests.known import known
from veca_edge.errors import VecaError
from veca_edge.governor.quality import QualityTable
from veca_edge.image import scaling
from veca_edge.image.patches import cell_centres, cut_bytes, cut_patches, cut_some
from veca_edge.image.preprocessing import Preprocessing, halved
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.modelfile.pte import Head
from veca_edge.runtime.dense import dense_result
from veca_edge.runtime.streaming.change import ChangeDetector, ChangeSettings
from veca_edge.runtime.streaming.stream import _compared

LARGEST = 360_000  # bytes, all together
CHANGE = [f"change/{name}.jsonl" for name in change_traces.TRACES]
STREAM = [f"stream/{name}.jsonl" for name in stream_traces.TRACES]
TABLES = [
    "frames.json",
    "preprocessing.json",
    "patches.json",
    "results.json",
    "dense.json",
    "quality.json",
    "gallery.json",
]


def read(name: str) -> Any:
    """A file as it lies here: a table, or the lines of a trace."""
    text = (generate.FOLDER / name).read_text()
    return [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return dict(generate.files())


@pytest.fixture(params=["opencv", "numpy"])
def resizing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With OpenCV, and as where it is not installed."""
    if request.param == "numpy":
        monkeypatch.setattr(scaling, "opencv", lambda: None)


def assert_same(found: Any, wanted: Any, levels: int = 0, where: str = "") -> None:
    """The same, floats nearly; whole numbers may differ by `levels`."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for name in wanted:
            assert_same(found[name], wanted[name], levels, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_same(one, other, levels, f"{where}[{index}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6), where
    elif levels and type(wanted) is int:
        assert abs(found - wanted) <= levels, where
    else:
        assert found == wanted, where


@pytest.mark.parametrize("name", TABLES + CHANGE + STREAM)
def test_on_disk_is_what_the_script_writes(written: dict[str, str], name: str) -> None:
    fresh = (
        [json.loads(line) for line in written[name].splitlines()] if name[-1] == "l" else json.loads(written[name])
    )
    # OpenCV's builds for other processors may round otherwise.
    assert_same(fresh, read(name), TOLERANCE if name in ("preprocessing.json", "patches.json") else 0)


def test_nothing_else_lies_there(written: dict[str, str]) -> None:
    traces = {str(path.relative_to(generate.FOLDER)) for path in generate.FOLDER.glob("[cs]*/*.jsonl")}
    assert traces == {*CHANGE, *STREAM}
    assert {*TABLES, *CHANGE, *STREAM} == written.keys()
    shared = [generate.FOLDER / name for name in [*written, "end-to-end.json"]]
    assert sum(path.stat().st_size for path in shared) < LARGEST


def test_the_formula_of_frames_stays() -> None:
    for case in read("frames.json")["cases"]:
        frame = Frame.read(case["frame"])
        assert frame.told() == case["frame"]
        assert frame.image().reshape(-1).tolist() == case["bytes"]


@pytest.mark.parametrize("case", read("preprocessing.json")["cases"], ids=lambda case: case["name"])
@pytest.mark.usefixtures("resizing")
def test_preprocessing(case: dict[str, Any]) -> None:
    image = Frame.read(case["frame"]).image()
    settings = Preprocessing.from_dict(case["preprocessing"])
    fitted = settings.resize(image, case["patch_size"], case.get("image_size"))
    assert list(fitted.crop) == case["crop"]
    assert fitted.image.shape == (case["height"], case["width"], 3)
    size = case.get("image_size", settings.image_size)
    assert settings.squares(image.shape[1], image.shape[0], case["patch_size"], size) == case["squares"]
    assert case["squares"] * size**2 == case["width"] * case["height"]
    assert abs(fitted.image.reshape(-1).astype(int) - case["pixels"]).max() <= TOLERANCE


@pytest.mark.usefixtures("resizing")
def test_halving() -> None:
    for case in read("preprocessing.json")["halved"]:
        half = halved(Frame.read(case["frame"]).image())
        assert abs(half.reshape(-1).astype(int) - case["pixels"]).max() <= TOLERANCE


@pytest.mark.parametrize("case", read("preprocessing.json")["errors"], ids=lambda case: case["name"])
def test_what_preprocessing_refuses(case: dict[str, Any]) -> None:
    image = np.zeros((case["height"], case["width"], 3), np.uint8)
    settings = Preprocessing.from_dict(case["preprocessing"])
    with pytest.raises(VecaError):
        settings.resize(image, case["patch_size"], case.get("image_size"))


def test_patches() -> None:
    vectors = read("patches.json")
    for case in vectors["cut"]:
        image, size, some = Frame.read(case["frame"]).image(), case["patch_size"], np.array(case["some"])
        assert cut_patches(image, size).tolist() == case["patches"]
        assert cut_some(image, size, some).tolist() == [case["patches"][index] for index in some]
    for case in vectors["positions"]:
        found = cell_centres(case["rows"], case["columns"])
        np.testing.assert_allclose(found, case["positions"], atol=1e-6)
    for case in vectors["compared"]:
        compared = _compared(Frame.read(case["frame"]).image(), case["patch_size"])
        assert abs(compared.astype(int) - case["patches"]).max() <= TOLERANCE


@pytest.mark.parametrize("rounding", [0, 1e-4])
@pytest.mark.parametrize("name", CHANGE)
def test_a_change_trace(name: str, rounding: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single and double precision, and any order of sums, decide alike."""
    exact, rng = ChangeDetector._change, np.random.default_rng(0)

    def roughly(self: ChangeDetector, patches: Any) -> Any:
        # Sums of squares of whole numbers are exact in every language, so equal ones stay equal.
        values, which = np.unique(exact(self, patches), return_inverse=True)
        return (values * (1 + rounding * rng.uniform(-1, 1, values.shape)))[which]

    monkeypatch.setattr(ChangeDetector, "_change", roughly)
    first, *lines = read(name)
    answers = change_traces.play(map(Step.read, lines), ChangeSettings(**first["settings"]), first["patch"])
    for number, (answer, line) in enumerate(zip(answers, lines, strict=True), 2):
        assert answer["plan"] == line["plan"], f"line {number}"
        assert answer["age"] == line["age"], f"line {number}"
        if not rounding:
            assert answer["noise"] == pytest.approx(line["noise"], rel=1e-3, abs=1e-4), f"line {number}"


def test_change_traces_show_every_rule() -> None:
    traces = {name: read(f"change/{name}.jsonl") for name in change_traces.TRACES}
    plans = {name: [line["plan"] for line in lines[1:]] for name, lines in traces.items()}
    noise = {name: [line["noise"] for line in lines[1:]] for name, lines in traces.items()}
    waits = [plan["changed"] > 0 and not plan["patches"] for plan in plans["faint"]]
    assert sum(waits) > 8  # patience
    strong = plans["faint"][30]
    assert not waits[29]
    assert 20 in strong["patches"]
    budget = traces["budget"][0]["settings"]["patch_budget"]
    crowded = [plan for plan in plans["budget"] if plan["changed"] > budget and not plan["keyframe"]]
    assert len(crowded) > 10
    assert {len(plan["patches"]) for plan in crowded} == {budget}
    assert max(traces["budget"][-1]["age"]) < 20  # the rotation is not starved
    assert {len(plan["patches"]) for plan in plans["still"][1:]} == {0, 16}  # rotation, in whole steps
    assert max(noise["darkening"][10:]) > 1.2 * noise["darkening"][9]
    assert noise["darkening"][-1] < max(noise["darkening"])
    assert max(noise["pan"]) < 3.5  # 5.6 grey levels if motion counted as noise
    assert max(noise["fade"][2:]) < 1.4
    assert sum(plan["changed"] for plan in plans["fade"]) > 100
    keyframes = [plan["changed"] for plan in plans["shares"] if plan["keyframe"]]
    assert keyframes.count(0) == 1  # on demand
    assert keyframes.count(29) == 1  # of 48, more than the share
    assert len({len(line["age"]) for line in traces["shares"][1:]}) == 2  # another grid
    assert any("settings" in line for line in traces["shares"][1:])
    assert any("reset" in line for line in traces["shares"][1:])


@pytest.mark.parametrize("name", stream_traces.TRACES)
def test_a_stream_trace(name: str) -> None:
    first, *lines = read(f"stream/{name}.jsonl")
    trace = stream_traces.TRACES[name]
    assert first == json.loads(json.dumps(generate.plain(stream_traces.stream_trace(trace)[0])))
    answers = stream_traces.play(trace, map(Step.read, lines))
    for number, (answer, line) in enumerate(zip(answers, lines, strict=True), 2):
        for field, found in answer.items():
            if field == "dense":
                assert_same(found, line[field], where=f"line {number}")
                continue
            exact = field in ("call", "keyframe", "computed", "oldest")
            wanted = line[field] if exact else pytest.approx(line[field], rel=1e-4, abs=1e-5)
            assert found == wanted, f"line {number}: {field}"


def test_what_a_stream_remembers_is_of_the_patches_that_it_computed() -> None:
    """The traces' keys and values change in the rows that were computed by `step`, and nowhere else."""
    for name in stream_traces.TRACES:
        before = None
        for line in read(f"stream/{name}.jsonl")[1:]:
            stepped = line["call"] is not None and line["call"]["method"] == "step"
            if before is not None and len(before["keys"]) == len(line["keys"]):
                moved = np.flatnonzero(np.not_equal(before["keys"], line["keys"]))
                assert set(moved) <= set(line["computed"] if stepped else [])
            if stepped and not line["keyframe"]:
                assert line["call"]["masked"] == line["computed"]
            before = line


def test_stream_traces_show_every_rule() -> None:
    lines = {name: read(f"stream/{name}.jsonl")[1:] for name in stream_traces.TRACES}
    calls = [line["call"] and line["call"]["method"] for line in lines["moving"]]
    pan, rest = ["step", *["encode"] * 9], ["step", None, None, None]
    assert calls == ["step", None, None, *pan, *rest, "step", "encode", "encode"]
    assert [i for i, line in enumerate(lines["drift"]) if line["keyframe"]] == [0, 3, 6]
    assert [i for i, line in enumerate(lines["switches"]) if line["keyframe"]] == [0, 1, 4, 7, 9]
    few = [line["call"] and len(line["call"]["patches"]) for line in lines["few"]]
    assert few[0] == 36
    assert {*few[1:]} == {None, 8}


@pytest.mark.parametrize("case", read("results.json")["top"], ids=lambda case: f"{case['logits']}, {case['k']}")
def test_the_most_likely_labels(case: dict[str, Any]) -> None:
    result = result_of(case["logits"], tuple(case["labels"]))
    np.testing.assert_allclose(result.probabilities, case["probabilities"], atol=1e-6)
    assert [found.label for found in result.top(case["k"])] == [label for label, _ in case["top"]]


def test_a_head() -> None:
    for case in read("results.json")["head"]:
        arrays = {name: np.array(value, np.float32) for name, value in case.items()}
        logits = Head(arrays["weight"], arrays["bias"]).logits(arrays["embedding"], arrays["features"])
        np.testing.assert_allclose(logits, arrays["logits"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", read("dense.json")["heads"], ids=lambda case: case["task"]["name"])
def test_a_dense_head(case: dict[str, Any]) -> None:
    arrays = {name: np.array(case[name], np.float32) for name in ("weight", "bias", "features", "outputs")}
    head = DenseHead(task_of(case["task"]), arrays["weight"], arrays["bias"])
    np.testing.assert_array_equal(head.outputs(arrays["features"]), arrays["outputs"])


@pytest.mark.parametrize("case", read("dense.json")["results"], ids=lambda case: case["task"]["name"])
def test_a_dense_result(case: dict[str, Any]) -> None:
    task, (rows, columns) = task_of(case["task"]), case["grid"]
    computed = None
    if "computed" in case:
        computed = np.isin(np.arange(rows * columns), case["computed"]).reshape(rows, columns)
    crop = (case["crop"][0], case["crop"][1], case["crop"][2], case["crop"][3])
    result = dense_result(task, np.array(case["outputs"], np.float32), (rows, columns), crop, computed)
    assert result.cells.shape == (rows * task.cells, columns * task.cells, task.values)
    np.testing.assert_array_equal(result.cells.ravel(), case["cells"])
    if computed is not None:
        assert np.flatnonzero(known(result.computed)).tolist() == case["computed_cells"]
    for at in case["at"]:
        size = at["height"], at["width"]
        np.testing.assert_allclose(result.at(*size).ravel(), at["values"], rtol=1e-4, atol=1e-5)
        if "classes" in at:
            assert result.classes(*size).ravel().tolist() == at["classes"]
    if task.kind == "regression":
        np.testing.assert_array_equal(result.values().ravel(), case["values"])
    else:
        assert result.classes().ravel().tolist() == case["classes"]
        np.testing.assert_allclose(result.probabilities().ravel(), case["probabilities"], atol=1e-6)
        assert result.areas() == pytest.approx(case["areas"], abs=1e-6)


def test_dense_vectors_show_every_rule() -> None:
    cases = read("dense.json")["results"]
    assert {(case["task"]["kind"], case["task"]["cells"]) for case in cases} == {
        ("segmentation", 4),
        ("segmentation", 2),
        ("regression", 1),
    }
    margins = []
    for case in cases[:2]:
        count = len(case["task"]["labels"])
        cells = np.sort(np.array(case["cells"]).reshape(-1, count))
        assert (cells[:, -1] == cells[:, -2]).any(), "no two classes are equally likely"
        assert {*case["classes"]} == {*range(count)}
        for at in case["at"]:
            ordered = np.sort(np.array(at["values"]).reshape(-1, count))
            margins += (ordered[:, -1] - ordered[:, -2]).tolist()
    assert min(margins) > 1e-3, "single and double precision could choose another class"
    lines = read("stream/dense.jsonl")[1:]
    computed = [len(line["dense"]["people"]["computed_cells"]) for line in lines]
    assert computed == [144, 0, 32, 0, 144, 144, 144]
    assert lines[5]["call"]["method"] == "encode"
    assert lines[2]["dense"]["people"]["cells"] != lines[1]["dense"]["people"]["cells"]


@pytest.mark.parametrize("case", read("dense.json")["refused"], ids=lambda case: f"{case['name']:.10}")
def test_a_dense_task_that_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(VecaError):
        DenseTask.from_dict(case["name"], case["table"])


def test_the_fidelity_of_rows_of_a_quality_table() -> None:
    vectors = read("quality.json")
    for case in vectors["rows"]:
        (row,) = QualityTable.from_rows([case["row"]]).rows
        assert row.fidelity == pytest.approx(case["fidelity"], rel=1e-6), case
    for case in vectors["refused"]:
        with pytest.raises(VecaError):
            QualityTable.from_rows([case["row"]])


def task_of(told: dict[str, Any]) -> DenseTask:
    return DenseTask.from_dict(told["name"], told)


def test_patches_are_cut_alike_from_bytes() -> None:
    image = Frame(32, 24, noise=127, seed=1).image()
    np.testing.assert_array_equal(cut_bytes(image, 8), cut_patches(image, 8))
