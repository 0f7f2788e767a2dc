from __future__ import annotations

import subprocess
import sys

import pytest

MEASURE = """
import sys
import numpy as np, torch
from veca_edge.converters.executorch.program import Method, assemble
from veca_edge.converters.executorch.xnnpack import ConstantStore, GraphBuilder, Weight
from veca_edge.runtime.engines.binding import load_binding
from veca_edge.runtime.engines.weight_cache import enable_weight_cache

store, side = ConstantStore(), 1024
graph = GraphBuilder(store)
x, y = graph.input((4, side)), graph.input((4, side))
for layer in range(12):
    weight = Weight(f"w{layer}", np.full((side, side), layer + 1, np.int8), None, np.full(side, 1e-5, np.float32))
    x, y = graph.linear(x, weight), graph.linear(y, weight)
graph.output(x)
graph.output(y)
with open(sys.argv[2], "wb") as file:
    file.write(assemble({"f": Method(graph)}, store))
del store, graph
if sys.argv[1] == "on":
    assert enable_weight_cache()

def resident():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Anonymous"))

inputs = [torch.ones(4, side), torch.ones(4, side)]
module = load_binding()._load_for_executorch(sys.argv[2])
torch.zeros(2**24)  # freed heap is used up, so that what follows is new
before = resident()
module.run_method("f", inputs)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from Linux's /proc")
def test_a_weight_that_is_used_twice_is_packed_once(tmp_path: pytest.TempPathFactory) -> None:
    added = {}
    for mode in ("off", "on"):
        command = [sys.executable, "-c", MEASURE, mode, f"{tmp_path}/{mode}.pte"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        added[mode] = int(result.stdout.split()[-1]) / 1024
    # Twelve matrices of 1 MB: 24 MB packed without the cache, 12 MB with it; freed heap may hide some of both.
    assert added["off"] - added["on"] > 8
