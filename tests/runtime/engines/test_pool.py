"""Several threads, forks, the end of Python, a file that is overwritten: in child processes, which may crash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import veca_edge
from veca_edge.errors import VecaError
from veca_edge.runtime.model import Model

START = """
import os, sys, threading, time
import numpy as np
import veca_edge
from veca_edge.errors import VecaError
path, rounds = sys.argv[1], int(sys.argv[2])
image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
with veca_edge.load(path, threads=2) as model:
    expected = {cores: model(image, cores=cores).embedding for cores in model.budgets}

def check(model, cores):
    assert np.array_equal(model(image, cores=cores).embedding, expected[cores])

def together(*works):
    wrong = []
    def run(work):
        try:
            work()
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    if wrong: raise wrong[0]
"""
OTHER_COUNTS = """
refused = []
def work(threads):
    for _ in range(rounds):
        try:
            with veca_edge.load(path, threads=threads) as model:
                for cores in (8, 64):
                    model(image, cores=cores)
        except VecaError as error:
            refused.append(str(error))
            time.sleep(0.01)
together(*(lambda n=n: work(n) for n in (1, 2, 3)))
assert all("whole process" in line for line in refused)
"""
ONE_MODEL = """
shared = veca_edge.load(path, threads=2)
streams, shared_stream = [shared.stream(cores=cores) for cores in (8, 64)], shared.stream()
def call(cores):
    for _ in range(5 * rounds): check(shared, cores)
def watch(stream, alone):
    for _ in range(5 * rounds):
        stream.reset()
        found = stream.update(image).embedding
        assert not alone or np.allclose(found, expected[stream.cores], atol=1e-3)
        assert np.isfinite(stream.update(255 - image).embedding).all()
def reload():
    for _ in range(rounds):
        check(veca_edge.load(path), 64)
together(lambda: call(8), lambda: call(64), reload,
    *(lambda s=s: watch(s, True) for s in streams), *[lambda: watch(shared_stream, False)] * 2)
shared.close()
veca_edge.load(path, threads=1).close()  # what nobody can reach any more does not hold the threads
"""
CLOSED = """
for _ in range(rounds):
    model = veca_edge.load(path, threads=2)
    def call():
        try:
            while True: check(model, 8)
        except VecaError as error:
            assert "closed" in str(error)
    together(call, call, lambda: (time.sleep(0.02), model.close()))
"""
END = """
model = veca_edge.load(path, threads=2)
def forever(work):
    def run():
        while True: work()
    threading.Thread(target=run, daemon=True).start()
stream = model.stream()
forever(lambda: check(model, 8))
forever(lambda: stream.update(np.random.default_rng().integers(0, 256, (128, 128, 3), np.uint8)))
forever(lambda: check(veca_edge.load(path), 64))
time.sleep(0.1)
"""
FORK = """
model = veca_edge.load(path, threads=2)
def call():
    for _ in range(20 * rounds): check(model, 8)
def fork():
    for _ in range(rounds):
        child = os.fork()
        if not child:
            check(model, 64)
            check(veca_edge.load(path), 8)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
together(call, fork)
"""
OVERWRITTEN = """
model = veca_edge.load(path)
check(model, 8)
with open(path, "r+b") as file:
    file.write(b"\\xff" * os.path.getsize(path))
check(model, 8)
check(model, 64)
os.truncate(path, 0)
stream = model.stream()
for frame in (image, 255 - image, image): stream.update(frame)
check(model, 8)
"""
SCRIPTS = {"counts": OTHER_COUNTS, "one model": ONE_MODEL, "closed": CLOSED, "end": END}
if hasattr(os, "fork"):
    SCRIPTS["fork"] = FORK


def run(script: str, path: Path, rounds: int) -> None:
    command = [sys.executable, "-c", START + script, str(path), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 20 * rounds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_threads_take_turns(default_model_file: Path, script: str) -> None:
    run(script, default_model_file, 3)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_threads_take_turns_for_long(default_model_file: Path, script: str) -> None:
    for _ in range(10):
        run(script, default_model_file, 20)


def test_a_file_that_is_overwritten_while_it_is_open(default_model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    shutil.copy(default_model_file, path)
    run(OVERWRITTEN, path, 1)


def test_other_threads_than_those_of_an_open_model(model: Model, default_model_file: Path) -> None:
    with pytest.raises(VecaError, match="close those models first"):
        veca_edge.load(default_model_file, threads=model.engine.threads + 1)
    assert veca_edge.load(default_model_file).engine.threads == model.engine.threads
