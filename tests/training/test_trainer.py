from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.dense_sets import write_masks
from tests.training.training_sets import ALONE, LABELS, store, tiny_recipe
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.photos.masks import read_masked_folder
from veca_edge.training.answers import LiveAnswers
from veca_edge.training.dense import DenseData, new_task
from veca_edge.training.gradients import Task
from veca_edge.training.learner import Average, Classifier, make_optimizer
from veca_edge.training.masks import load_masked
from veca_edge.training.settings import OptimizerSettings
from veca_edge.training.state import RunFiles, read_log, read_state
from veca_edge.training.trainer import Progress, Trainer, TrainingError
from veca_edge.training.validation import Figures
from veca_edge.training.views import crop, normalise, whole_views
from veca_edge.training.world import autocast_for

SAME = ("epochs=20", "loss.soft_labels=1")
STILL = ("model.rope_shift=0", "model.rope_rescale=1")  # shifts are drawn per piece of a batch
Whole = tuple[Path, Trainer, list[Progress | Figures]]


def teacher(images: Tensor) -> tuple[Tensor, ...]:
    """Grey and its square, of 8 x 8 pixels: narrower than a tiny student, so that projections are learned."""
    grey = torch.nn.functional.avg_pool2d(images, 8)
    features = torch.cat((grey, grey.square()), 1)
    return features.mean((2, 3)), features.flatten(2).transpose(1, 2), 5 * grey.mean((2, 3)).flip(1)


def trainer(folder: Path, *changes: str, **task: Any) -> Trainer:
    folder.mkdir(exist_ok=True)
    recipe = tiny_recipe(*changes)
    values: dict[str, Any] = {
        "train": store(24),
        "val": store(6, seed=1),
        "labels": LABELS,
        "teacher": teacher,
    } | task
    if values["teacher"] is not None:
        autocast = autocast_for(recipe, ALONE.device)
        values["teacher"] = LiveAnswers(values["teacher"], values["train"], recipe, autocast, ALONE.device)
    return Trainer(Task(recipe, **values), RunFiles(folder / "model.pt"), ALONE)


def stopping_after(steps: int) -> Callable[[], bool]:
    """Asked before every step: yes from the one after `steps` on."""
    asked = iter(range(10_000))
    return lambda: next(asked) >= steps


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log without times, which no run repeats."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_log(folder / "model.log.jsonl")]


def steps_of(folder: Path) -> list[dict[str, Any]]:
    return [line for line in lines(folder) if "loss" in line]


def state_of(folder: Path) -> dict[str, Any]:
    state = read_state(folder / "model.state.pt")
    assert state is not None
    return {name: value for name, value in state.items() if name != "seconds"}


def equal(a: Any, b: Any) -> bool:
    """Whether two states hold the same numbers, bit for bit."""
    if isinstance(a, torch.Tensor):
        return bool(torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A run from beginning to end."""
    folder = tmp_path_factory.mktemp("whole")
    run, told = trainer(folder, *SAME), list[Progress | Figures]()
    assert run.run(report=told.append)
    run.export()
    return folder, run, told


def test_losses_fall_and_every_budget_learns(whole: Whole) -> None:
    folder, run, told = whole
    steps = steps_of(folder)
    assert [line["step"] for line in steps] == list(range(1, 41))
    for name in ("loss", "labels", "embedding", "patches", "patches_mse", "soft_labels"):
        early, late = (sum(line[name] for line in part) for part in (steps[:8], steps[-8:]))
        assert late < 0.9 * early, name
    assert {line["size"] for line in steps} == {32, 48}
    last = [line["validation"] for line in lines(folder) if "validation" in line][-1]
    assert set(last) == {"32", "48"}
    for figures in (budgets[cores] for budgets in last.values() for cores in ("8", "24")):
        assert figures["top1"] >= 5 / 6
        assert figures["loss"] < 0.5  # ln 3 by chance
    assert told[-1] == run.figures == last
    assert all(json.loads(text)["step"] >= 1 for text in (folder / "model.log.jsonl").read_text().splitlines())


def test_the_checkpoint_is_what_was_validated(whole: Whole) -> None:
    folder, run, _ = whole
    checkpoint = read_checkpoint(folder / "model.pt")
    assert checkpoint.labels == LABELS
    assert checkpoint.preprocessing["image_size"] == 48
    assert set(checkpoint.state) == set(run.best_weights.veca.state_dict())  # no projection, no teacher
    assert checkpoint.config.budgets == (8, 16, 24)
    assert (folder / "model.pt").stat().st_size < 2.2 * sum(v.numel() for v in checkpoint.state.values()) + 50_000
    images, head = normalise(crop(store(6, seed=1).pixels, whole_views(6), 32)), checkpoint.build_head()
    assert head is not None
    right = head(checkpoint.build()(images, 8)).argmax(1) == store(6, seed=1).targets
    assert float(right.float().mean()) == pytest.approx(run.figures["32"]["8"]["top1"])


@pytest.mark.parametrize("stops", [(1,), (7, 3, 11)])
def test_stopped_and_continued_is_as_never_stopped(whole: Whole, stops: tuple[int, ...], tmp_path: Path) -> None:
    for steps in stops:
        run = trainer(tmp_path, *SAME)
        run.restore()
        assert not run.run(stop=stopping_after(steps))
        with (tmp_path / "model.log.jsonl").open("a") as log:
            log.write('{"step": 38, "loss": 0}\n{"step": 3')  # of a process that was killed later
    run = trainer(tmp_path, *SAME)
    assert run.restore()
    assert run.step == sum(stops)
    assert run.run()
    assert equal(state_of(whole[0]), state_of(tmp_path))
    assert lines(tmp_path) == lines(whole[0])


def test_a_finished_run_has_nothing_left_to_do(whole: Whole) -> None:
    folder, before, _ = whole
    log = lines(folder)
    run = trainer(folder, *SAME)
    assert run.restore()
    assert run.run(report=lambda _: pytest.fail("a step was taken"))
    assert run.figures == before.figures
    assert lines(folder) == log


@pytest.mark.parametrize("change", ["seed=1", "optimizer.lr=1e-3", "batch_size=24"])
def test_another_run_is_not_continued_by_accident(whole: Whole, change: str) -> None:
    run = trainer(whole[0], *SAME, change)
    message = rf"other settings \({change.partition('=')[0]}\): start over with --resume never"
    with pytest.raises(VecaError, match=message):
        run.restore()
    assert run.restore(changed=True)


def test_other_photos_and_other_sizes_are_refused(whole: Whole) -> None:
    with pytest.raises(VecaError, match=r"other settings \(the photos\)"):
        trainer(whole[0], *SAME, train=store(21)).restore()
    with pytest.raises(VecaError, match=r"does not fit: .*start over with --resume never"):
        trainer(whole[0], *SAME, "model.num_layers=3").restore(changed=True)
    trainer(whole[0], *SAME, "log_every=5", "save_minutes=1").restore()


def test_other_masks_are_refused(tmp_path: Path) -> None:
    folder = write_masks(tmp_path, train=3, val=1)

    def learning_masks() -> Trainer:
        photos = read_masked_folder(folder, "segmentation")
        train, val = (load_masked(pairs, photos.meaning, 32) for pairs in (photos.train, photos.val))
        masks = DenseData(new_task("things", 1, photos.meaning, train), train, val)
        return trainer(tmp_path, "epochs=20", "masks.size=64", "masks.batch_size=2", teacher=None, masks=masks)

    learning_masks().run(stopping_after(1))
    assert learning_masks().restore()
    mask = folder / "train" / "masks" / "001.png"
    mask.write_bytes((folder / "train" / "masks" / "002.png").read_bytes())  # mended meanwhile
    with pytest.raises(VecaError, match=r"other settings \(the masks\)"):
        learning_masks().restore()
    assert learning_masks().restore(changed=True)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("executed",))


def test_damaged_and_hostile_states_are_refused(whole: Whole, tmp_path: Path) -> None:
    data = (whole[0] / "model.state.pt").read_bytes()
    hostile, foreign = tmp_path / "hostile.pt", tmp_path / "foreign.pt"
    torch.save({"format": 1, "recipe": Evil()}, hostile, pickle_module=pickle)
    torch.save({"student": {}}, foreign)
    for content, message in (
        (data[: len(data) // 2], "cut short"),
        (b"", "empty"),
        (b"x", "damaged"),
        (hostile.read_bytes(), "pickled code"),
        (foreign.read_bytes(), "not the state"),
    ):
        (tmp_path / "model.state.pt").write_bytes(content)
        with pytest.raises(VecaError, match=rf"model\.state\.pt.*{message}.*--resume never"):
            trainer(tmp_path).restore()


@pytest.mark.parametrize(
    ("phases", "one", "other"),
    [
        ("[{sizes=[32]}, {sizes=[48]}]", "micro_batch=0", "micro_batch=5"),
        ("[{sizes=[48], patches=0.5}]", "micro_batch=0", "micro_batch=5"),
        pytest.param(
            "[{{sizes=[32], cores=[8], patches=0.5, compile={}}}, {{sizes=[32], cores=[8, 16]}}]",
            "false",
            "true",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler"),
            ],
        ),
    ],
)
def test_pieces_of_a_batch_and_compiled_phases_take_the_same_steps(
    phases: str, one: str, other: str, tmp_path: Path
) -> None:
    for name in (one, other):
        changes = [f"phases={phases}", name] if "=" in name else [f"phases={phases.format(name)}"]
        trainer(tmp_path / name, *STILL, "epochs=4", *changes).run()
    for a, b in zip(steps_of(tmp_path / one), steps_of(tmp_path / other), strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-3)
        assert b["gradient"] == pytest.approx(a["gradient"], rel=2e-3)


def test_a_student_that_sees_some_patches_learns_from_a_teacher_that_sees_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, forward = list[Tensor | None](), Classifier.forward

    def watched(classifier: Classifier, images: Tensor, cores: int, kept: Tensor | None = None) -> Any:
        seen.append(kept)
        return forward(classifier, images, cores, kept)

    monkeypatch.setattr(Classifier, "forward", watched)
    run = trainer(tmp_path, "epochs=20", "phases=[{share=3, sizes=[48], patches=0.3}, {sizes=[48]}]")
    run.run()
    early = [kept for kept in seen if kept is not None]
    assert [kept.shape for kept in early] == [(12, 3)] * 30  # of 9 patches
    rows = torch.cat(early).tolist()
    assert all(row == sorted(set(row)) for row in rows)
    assert len(set(map(tuple, rows))) > 60  # of 84 choices
    assert {patch for row in rows for patch in row} == set(range(9))
    steps = steps_of(tmp_path)
    assert steps[29]["patches"] < 0.9 * steps[0]["patches"]
    assert run.figures["48"]["24"]["top1"] >= 5 / 6


def test_a_loss_that_is_no_number_keeps_the_last_good_state(tmp_path: Path) -> None:
    calls: list[int] = []

    def breaking(images: Tensor) -> tuple[Tensor, ...]:
        calls.append(0)
        return tuple(part / (len(calls) < 6) for part in teacher(images))  # 1 for the statistics, then 4 steps

    run = trainer(tmp_path, teacher=breaking)
    message = r"not a number by step 5: .*model\.state\.pt holds the last good state"
    with pytest.raises(TrainingError, match=message) as caught:
        run.run()
    assert caught.value.exit_status == 1
    assert state_of(tmp_path)["step"] == 4
    assert not (tmp_path / "model.pt").exists()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]
    again = trainer(tmp_path)
    again.restore()
    assert again.run()


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_too_little_memory_says_what_to_lower(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path)

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(Classifier, "forward", full)
    with pytest.raises(
        TrainingError, match="out of memory at 32 pixels with 12 photos a step: set or lower micro_b"
    ):
        run.run()


def test_a_checkpoint_can_be_trained_further(whole: Whole, tmp_path: Path) -> None:
    start = read_checkpoint(whole[0] / "model.pt")
    assert start.head is not None
    run = trainer(tmp_path, "epochs=2", "model.num_layers=5", "optimizer.lr=1e-5", start=start)
    run.run()
    assert run.best_weights.veca.config == start.config
    assert run.figures["32"]["24"]["loss"] == pytest.approx(whole[1].figures["32"]["24"]["loss"], abs=0.1)
    others = trainer(tmp_path / "others", "epochs=2", start=start, labels=("a", "b", "c"))
    assert not torch.equal(others.best_weights.head.linear.weight, start.head["weight"])


def test_without_labels_or_without_a_teacher(tmp_path: Path) -> None:
    unlabelled = store(24)
    unlabelled.targets[:] = -1
    trainer(tmp_path / "a", "epochs=2", "optimizer.ema=0", train=unlabelled).run()
    assert all(line.get("labels", 0) == 0 for line in steps_of(tmp_path / "a"))
    trainer(tmp_path / "b", "epochs=2", teacher=None).run()
    assert "embedding" not in lines(tmp_path / "b")[0]


def test_bf16_learns_too(tmp_path: Path) -> None:
    run = trainer(tmp_path, "precision=bf16", "epochs=20")
    run.run()
    assert run.figures["32"]["24"]["top1"] >= 5 / 6
    assert all(value.dtype == torch.float32 for value in run.best_weights.state_dict().values())


def test_weight_decay_is_for_matrices_alone(tmp_path: Path) -> None:
    learner = trainer(tmp_path)._learner
    matrices, others = make_optimizer(learner, OptimizerSettings(weight_decay=0.1)).param_groups
    names = {id(value): name for name, value in learner.named_parameters()}
    decayed = {names[id(value)] for value in matrices["params"]}
    assert (matrices["weight_decay"], others["weight_decay"]) == (0.1, 0)
    assert all(name.endswith("weight") and "norm" not in name for name in decayed)
    assert {"classifier.head.linear.weight", "classifier.veca.blocks.0.fc1.weight"} <= decayed
    assert len(decayed) + len(others["params"]) == len(names)


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    classifier = trainer(tmp_path).best_weights
    average = Average(classifier, 0.9)
    start = classifier.head.linear.bias.clone()
    with torch.no_grad():
        classifier.head.linear.bias += 1
    average.update(classifier, 0)  # decay 1 / 10 at first
    torch.testing.assert_close(average.classifier.head.linear.bias, start + 0.9)
    average.update(classifier, 10_000)
    torch.testing.assert_close(average.classifier.head.linear.bias, start + 0.91)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="the teacher has 3 labels, the photos have 4"):
        trainer(tmp_path, labels=("a", "b", "c", "d"))
    task = Task(tiny_recipe(), store(24), store(6), LABELS)
    with pytest.raises(VecaError, match="batch_size 12 cannot be divided among 5 processes"):
        Trainer(task, RunFiles(tmp_path / "model.pt"), replace(ALONE, size=5))
