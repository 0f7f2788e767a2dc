"""Write the golden files afresh: `python -m tests.golden.generate [--end-to-end]`; then look at the difference."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.golden import change_traces, stream_traces
from tests.golden.dense_vectors import dense_vectors
from tests.golden.gallery_vectors import gallery_vectors
from tests.golden.preprocessing_vectors import frame_vectors, patch_vectors, preprocessing_vectors
from tests.golden.quality_vectors import quality_vectors
from tests.golden.result_vectors import result_vectors

FOLDER = Path(__file__).parent
DIGITS = 7


def plain(value: Any) -> Any:
    """As it is written: floats with seven digits."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def table(values: dict[str, Any]) -> str:
    """JSON with a line for each case, so that differences can be read."""
    parts = [f"{json.dumps(name)}: {_rows(value)}" for name, value in plain(values).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _rows(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(compact(row) for row in value) + "\n]"
    return compact(value)


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{compact(plain(row))}\n" for row in rows)


def files() -> Iterator[tuple[str, str]]:
    """Every file but the end-to-end one: its name in this folder, and its text."""
    yield "frames.json", table(frame_vectors())
    yield "preprocessing.json", table(preprocessing_vectors())
    yield "patches.json", table(patch_vectors())
    yield "results.json", table(result_vectors())
    yield "dense.json", table(dense_vectors())
    yield "quality.json", table(quality_vectors())
    yield "gallery.json", table(gallery_vectors())
    for name, watched in change_traces.TRACES.items():
        yield f"change/{name}.jsonl", lines(change_traces.change_trace(watched))
    for name, streamed in stream_traces.TRACES.items():
        yield f"stream/{name}.jsonl", lines(stream_traces.stream_trace(streamed))


def end_to_end_file() -> Iterator[tuple[str, str]]:
    """The one that needs PyTorch."""
    from tests.golden.end_to_end import end_to_end_vectors

    yield "end-to-end.json", table(end_to_end_vectors())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--end-to-end", action="store_true", help="also end-to-end.json, with PyTorch")
    end_to_end = parser.parse_args().end_to_end
    for name, text in (*files(), *(end_to_end_file() if end_to_end else ())):
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(f"{len(text):8,}  {name}")


if __name__ == "__main__":
    main()
