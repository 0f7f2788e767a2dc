from __future__ import annotations

from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.model.config import parameter_count
from veca_edge.training.settings import Phase, Recipe, differences, load_recipe, recipe_names
from veca_edge.training.tables import plain, read_table, render

PHONE = 12e6  # bytes in half precision


@pytest.mark.parametrize("name", [None, *recipe_names()])
def test_recipes_survive_printing_and_reading_and_make_models_for_a_phone(name: str | None, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    path = tmp_path / "printed.toml"
    path.write_text(render(recipe))
    assert load_recipe(str(path)) == recipe
    assert read_table(Recipe, plain(recipe)) == recipe
    assert all("#" in line or line.startswith("[") for line in render(recipe).splitlines() if line)
    recipe.check_model(recipe.model_config())
    assert 2 * parameter_count(recipe.model_config()) <= PHONE


def test_settings_are_changed_by_name() -> None:
    changes = ["optimizer.lr=2e-3", "seed = 3", "teacher.source=a=b.npz", "phases=[{share=2, sizes=[64, 96]}]"]
    recipe = load_recipe("everyday", changes)
    assert (recipe.optimizer.lr, recipe.seed, recipe.teacher.source) == (2e-3, 3, "a=b.npz")
    assert recipe.phases == (Phase(2.0, (64, 96)),)
    assert recipe.teacher.image_size == load_recipe("everyday").teacher.image_size
    other = load_recipe(None, ["log_every=7", "save_minutes=1", "seed=5", "optimizer.lr=2e-3"])
    assert differences(Recipe(), other) == ["optimizer.lr", "seed"]  # the first two change no weights


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ("optimiser.lr=1", "unknown setting optimiser: did you mean optimizer"),
        ("optimizer.rl=1", r"unknown setting optimizer\.rl"),
        ("epochs=many", "epochs is 'many': expected a number"),
        ("epochs=0", "epochs is 0: expected 0.001 or more"),
        ("epochs=nan", "epochs is nan"),
        ("epochs=inf", "expected a finite number"),
        ("batch_size=1.5", "batch_size is 1.5: expected a whole number"),
        ("batch_size=true", "batch_size is True: expected a whole number"),
        ("augment.mirror=1", "augment.mirror is 1: expected true or false"),
        ("augment.crop_area=2", "augment.crop_area is 2: expected 0.01 to 1"),
        ("augment.mixup=0.7 augment.cutmix=0.7", "must be at most 1"),
        ("optimizer.warmup=1", "must be below 1"),
        ("phases=[]", "phases: give at least one"),
        ("phases=[{sizes=[]}]", "phases: give at least one"),
        ("phases=[3]", "phases: expected a table of settings, got 3"),
        ("phases=[{sizes=[0]}]", "phases.sizes is 0: expected 1 to 4096"),
        ("validation.cores=8", "validation.cores is 8: expected a list"),
        ("validation.cores=[]", "validation.cores: give at least one"),
        ("precision=fp8", "precision is 'fp8': use one of auto, bf16, fp32"),
        ("seed=1 seed.a=1", "seed is not a table of settings"),
        ("epochs", "--set epochs: give name=value"),
        ("model.hidden_dim=50", "50 is not divisible by num_heads 3"),
        ("phases=[{sizes=[120]}]", "both sides must be multiples of 16"),
        ("validation.sizes=[100]", "both sides must be multiples of 16"),
        ("image_size=100", "both sides must be multiples of 16"),
        ("validation.cores=[12]", "12 cores: use a multiple of 8"),
        ("phases=[{cores=[72]}]", "72 cores: use a multiple of 8"),
    ],
)
def test_bad_settings_are_one_line(assignments: str, message: str) -> None:
    def read() -> None:
        recipe = load_recipe(None, assignments.split())
        recipe.check_model(recipe.model_config())

    with pytest.raises(VecaError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or folder: give a TOML file or one of everyday"),
        (b"a = [", "is not TOML"),
        (b"\xff = 1", "is not TOML"),
        (b"#" * (1 << 21), "is too large"),
        (b"a = " + b"[" * 50_000, "lie in each other more than 32 deep"),
    ],
)
def test_bad_files_are_one_line(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VecaError, match=message):
        load_recipe(str(path))
