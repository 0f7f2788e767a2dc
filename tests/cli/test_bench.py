from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.calibration.benchmark.small_models import write_tiny
from veca_edge.cli.main import main

WHOLE_PATCHES = "image size 70 is not a multiple of the patch size 16: use 64, for example"
PICTURE_NAMES = "--plot streams.txt: use a name that ends in .png, .svg or .pdf"
FRESH_PROCESS = {
    "load_ms": 5.0,
    "first_call_ms": 7.0,
    "baseline": 1_000_000,
    "memory": [{"after": "load", "bytes": 2_000_000, "anonymous": 1_000_000}],
    "peak": 3_000_000,
    "source": "a test",
}


@pytest.fixture(autouse=True)
def few_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs seconds; what they do is tested where it is written."""
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("veca_edge.calibration.benchmark.memory._child", lambda path, order: FRESH_PROCESS)
    monkeypatch.setattr("veca_edge.runtime.trust.ensure_harmless", lambda file: None)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint small enough to convert in a moment, and its model file."""
    from veca_edge.converters.executorch.convert import ConvertOptions, convert
    from veca_edge.model.checkpoint import read_checkpoint

    path = write_tiny(tmp_path_factory.mktemp("tiny"))
    convert(read_checkpoint(path), path.with_suffix(".pte"), ConvertOptions(max_patches=256))
    return path


def bench(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_json_and_a_picture_of_a_checkpoint(tiny: Path, tmp_path: Path) -> None:
    picture = tmp_path / "latency.svg"
    given = ["--image-size", "32,64", "--rounds", 3, "--threads", 1, "--against", "torch", "--plot", picture]
    result = bench(tiny, *given, "--json")
    assert result.exit_code == 0
    said = [line for line in result.stderr.splitlines() if line.startswith("veca-edge:")]
    assert said[0] == "veca-edge: converting custom (tiny.pt) to int8"
    assert said[1] == "veca-edge: preparing torch fp32 for 8 cores at 32 px"
    facts = json.loads(result.stdout)
    assert (facts["kind"], facts["quantization"], facts["rounds"], facts["threads"]) == ("benchmark", "int8", 3, 1)
    assert [set(row["call"]) for row in facts["rows"]] == 4 * [{"p50", "p95", "p99", "minimum", "per_second"}]
    assert len(facts["comparisons"]) == 4 * 3
    assert all(len(digest) == 64 for digest in facts["digests"].values())
    assert facts["startup"]["peak"] == 3_000_000
    assert (facts["startup"]["load_ms"], facts["startup"]["memory"][0]["bytes"]) == (5.0, 2_000_000)
    assert {"python", "veca-edge", "numpy", "torch", "executorch"} == set(facts["machine"]["versions"])
    assert isinstance(facts["warnings"], list)
    text = picture.read_text()
    assert all(f"<!-- {label} -->" in text for label in ("8 cores", "16 cores", "torch fp32", "64 px"))


def test_markdown_of_a_model_file(tiny: Path) -> None:
    result = bench(tiny.with_suffix(".pte"), "--cores", "all", "--image-size", 32, "--rounds", 1, "--markdown")
    assert result.exit_code == 0
    assert result.stdout.startswith("**tiny.pte, int8: ")
    assert "\n| cores | image | patches | p50 | p95 | p99 | min | images/s |\n" in result.stdout
    assert "\n| 16 | 32 px | 4 | " in result.stdout
    assert "\n| load | 2.0 MB | 1.0 MB | " in result.stdout


def test_minutes_of_a_model_file(tiny: Path, tmp_path: Path) -> None:
    given = ["--minutes", 0.03, "--image-size", 32, "--threads", 1, "--plot", tmp_path / "minutes.png"]
    result = bench(tiny.with_suffix(".pte"), *given, "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts["kind"] == "sustained benchmark"
    assert facts["minutes"] == pytest.approx(0.03, rel=0.2)
    (point,) = facts["points"]
    assert (point["cores"], point["image_size"]) == (16, 32)  # the largest budget
    assert point["calls"] > 20
    assert point["drift"] == pytest.approx(point["last"] / point["first"])
    minutes = [moment["minute"] for moment in point["history"]]
    assert minutes == sorted(minutes)
    assert minutes[-1] <= facts["minutes"]
    assert facts["conditions"][0].keys() == {"minute", "celsius", "clock", "thermal", "watts"}
    assert (tmp_path / "minutes.png").read_bytes().startswith(b"\x89PNG")


def test_minutes_as_text_and_too_few_of_them(tiny: Path) -> None:
    given = ["--cores", "all", "--image-size", 32, "--threads", 1]
    result = bench(tiny.with_suffix(".pte"), "--minutes", 0.08, *given)
    assert result.exit_code == 0
    assert "\nWhole call over 0.1 minutes, ms; medians of the fifths\n  cores  image  calls " in result.stdout
    assert "operating points are interleaved in blocks of 2 s" in result.stdout
    result = bench(tiny.with_suffix(".pte"), "--minutes", 0.001, *given)
    assert result.exit_code == 2
    assert result.stderr.endswith("veca-edge: 0 s are too short for 2 operating points: use more --minutes\n")


def test_streams_of_a_model_file(tiny: Path, tmp_path: Path) -> None:
    given = ["--stream", "synthetic:static", "--stream", "synthetic:pan", "--frames", 3, "--image-size", 64]
    given += ["--threads", 1, "--patch-budget", "none, 4,4", "--plot", tmp_path / "streams.png", "--json"]
    result = bench(tiny.with_suffix(".pte"), *given)
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    pool = "all 2 synthetic streams"
    assert (facts["kind"], facts["image_size"], facts["pool"]) == ("stream benchmark", 64, pool)
    found = [(row["clip"], row["cores"], row["patch_budget"], row["frames"]) for row in facts["rows"]]
    clips = [(pool, 6), ("synthetic:static", 3), ("synthetic:pan", 3)]
    assert found == [(clip, cores, most, n) for clip, n in clips for cores in (8, 16) for most in (None, 4)]
    assert facts["rows"][0]["fidelity"]["top1"] is None  # a model without labels
    assert (tmp_path / "streams.png").read_bytes().startswith(b"\x89PNG")


def test_streams_of_a_checkpoint_at_their_own_size(tiny: Path) -> None:
    result = bench(tiny, "--stream", "synthetic:cut", "--frames", 1, "--cores", 8, "--threads", 1)
    assert result.exit_code == 0
    assert "\n  256 px, 256 patches. " in result.stdout
    assert "\nsynthetic:cut, 1 frame: time per frame, ms\n  cores  budget  full p50 " in result.stdout


def test_a_picture_needs_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = bench("--stream", "synthetic", "--plot", tmp_path / "streams.png")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "veca-edge: this needs matplotlib, which is not installed: pip install 'veca-edge[plot]'"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--random", "tiny"], "unknown model family 'tiny': use one of small, splus, base, large"),
        (["{pte}", "--cores", "24"], "24 cores: this model offers 8, 16"),
        (
            ["{pte}", "--image-size", "70"],
            WHOLE_PATCHES,
        ),
        (
            ["{pte}", "--image-size", "64,512"],
            "512 px are 1024 patches, {pte} was made for 256: use a smaller --image-size, or convert with "
            "--max-patches",
        ),
        (
            ["{pte}", "--against", "torch"],
            "--against needs the model's checkpoint: give it with --checkpoint",
        ),
        (
            ["{pte}", "--against", "torch", "--checkpoint", "{other}"],
            "{other} is not the checkpoint that {pte} was made from",
        ),
        (
            ["{pte}", "--quantize", "fp32"],
            "{pte} is already converted: --quantize is for checkpoints and --random",
        ),
        (["{pte}", "--random", "small"], "give a model or --random, not both"),
        (["--checkpoint", "{pt}"], "--checkpoint needs a model file: leave it out, or name the file made from it"),
        (["{pte}", "--checkpoint", "{pt}"], "--checkpoint has an effect with --against only: leave it out"),
        (["{pt}x"], "{pt}x: no such file or folder: check the path"),
        (["--json", "--markdown"], "give --json or --markdown, not both"),
        (["--stream", "synthetic", "--against", "torch"], "--against has no effect with --stream: leave it out"),
        (["--stream", "synthetic", "--rounds", "3"], "--rounds has no effect with --stream: leave it out"),
        (["--patch-budget", "48"], "--patch-budget has an effect with --stream only: leave it out"),
        (["--minutes", "1", "--stream", "synthetic"], "give --minutes or --stream, not both"),
        (["--minutes", "1", "--checkpoint", "{pt}"], "--checkpoint has no effect with --minutes: leave it out"),
        (["--minutes", "1", "--frames", "3"], "--frames has an effect with --stream only: leave it out"),
        (["--plot", "streams.txt"], PICTURE_NAMES),
        (["--stream", "synthetic", "--plot", "streams.txt"], PICTURE_NAMES),
        (
            ["--stream", "synthetic", "--image-size", "64,128"],
            "--stream measures one image size at a time: give one --image-size",
        ),
        (
            ["--stream", "{pt}.mp4"],
            "{pt}.mp4: no such file or folder: --stream takes video files, synthetic or synthetic:NAME",
        ),
        (["--stream", "."], ". is a folder: give a video file"),
        (
            ["--stream", "synthetic:zoom"],
            "unknown synthetic stream 'zoom': use one of static, object, pan, cut, fade, flicker",
        ),
    ],
)
def test_errors_are_one_line_with_status_2(tiny: Path, arguments: list[Any], message: str) -> None:
    from veca_edge.model.checkpoint import default_checkpoint_path

    names = {"pt": tiny, "pte": tiny.with_suffix(".pte"), "other": default_checkpoint_path()}
    result = bench(*(argument.format(**names) for argument in arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"veca-edge: {message.format(**names)}\n"


@pytest.mark.parametrize(
    ("option", "text", "reason"),
    [
        ("--cores", "8;16", "'8;16': give core counts such as 8,16,64, or all"),
        ("--image-size", "256,", "'256,': give pixels such as 256, or 256,384"),
        ("--image-size", "0", "'0': give pixels such as 256, or 256,384"),
        ("--against", "torch,tvm", "'tvm': give some of torch,torch-compile,onnxruntime,openvino,dense"),
        ("--patch-budget", "48,", "'48,': give numbers from 2, or none, such as none,48"),
        ("--patch-budget", "1", "'1': give numbers from 2, or none, such as none,48"),
        ("--patch-budget", "none,²", "'none,²': give numbers from 2, or none, such as none,48"),
        ("--minutes", "0", "0.0 is not in the range x>0"),
    ],
)
def test_malformed_values_are_usage_errors(option: str, text: str, reason: str) -> None:
    result = bench(option, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"veca-edge: invalid value for '{option}': {reason} (see `main bench --help`)\n"
