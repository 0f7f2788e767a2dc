"""State dicts as trainers and wrappers save them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from veca_edge.errors import VecaError
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca
from veca_edge.model.wrappers import find_state

CONFIG = VecaConfig.from_family("small", hidden_dim=64, num_heads=1, num_layers=2, ffn_dim=24, num_cores=16)
MODEL = random_veca(CONFIG)
STATE = {name: value.detach() for name, value in MODEL.state_dict().items()}
OTHER = {name: value + 1 for name, value in STATE.items()}


def under(prefix: str, state: dict[str, Any] = STATE) -> dict[str, Any]:
    return {prefix + name: value for name, value in state.items()}


def inside(*wrappers: str) -> dict[str, Any]:
    """Wrappers around blocks and in front of them, as regional compilation and FSDP leave them."""
    middle = "".join(f"{name}." for name in wrappers)
    return {name.replace("blocks.0.", f"blocks.0.{middle}"): value for name, value in STATE.items()}


FORMS: dict[str, Callable[[], Any]] = {
    "compiled blocks": lambda: inside("_orig_mod"),
    "compiled under checkpointing": lambda: inside("_checkpoint_wrapped_module", "_orig_mod"),
    "sharded": lambda: {"model": under("module._fsdp_wrapped_module.", inside("_fsdp_wrapped_module"))},
    "averaged": lambda: AveragedModel(nn.Sequential(MODEL)[0]).state_dict(),
    "averaged in a dictionary": lambda: {"ema": AveragedModel(MODEL).state_dict(), "step": 3},
    "lightning": lambda: {"epoch": 3, "state_dict": under("model."), "callbacks": {"a": {"best": 1.0}}},
    "lightning, beside a loss": lambda: {"state_dict": {**under("net."), "loss.weight": torch.ones(3)}},
    "module in a module": lambda: {"state_dict": under("net.backbone._orig_mod.")},
    "ema alone": lambda: {"model_ema": under("module."), "args": {"lr": 1.0}},
    "state_dict_ema": lambda: {"state_dict_ema": STATE, "epoch": 7},
    "shadow with names": lambda: {"ema": {"decay": 0.99, "shadow": STATE}},
    "student beside its teacher": lambda: {"student": STATE, "teacher": OTHER, "ema": OTHER},
    "student and teacher in one": lambda: {"model": {**under("student."), **under("teacher.", OTHER)}},
    "student with a backbone": lambda: {"student": under("backbone.")},
    "counters": lambda: {**STATE, "n_averaged": torch.tensor(3), "num_updates": torch.tensor(4)},
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_unambiguous_is_unwrapped(form: str) -> None:
    found = find_state(FORMS[form]())
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], value) for name, value in STATE.items())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"state_dict": STATE, "state_dict_ema": OTHER},
            r"models \('state_dict', 'state_dict_ema'\): save",
        ),
        ({"ema": {**under("ema_model."), **under("online_model.", OTHER)}}, "'ema.ema_model', 'ema.online_model'"),
        ({"decay": 0.9, "shadow_params": list(STATE.values())}, "averaged weights without names"),
        ({f"model_ema.{n.replace('.', '')}": v for n, v in STATE.items()}, "names lost their dots"),
        ({**STATE, "blocks.0._orig_mod.fc1.bias": STATE["blocks.0.fc1.bias"]}, "occurs twice"),
        ({"state_dict": {"conv1.weight": torch.ones(1)}}, r"no model weights \(found 'state_dict'\)"),
    ],
)
def test_what_is_ambiguous_or_no_model_is_named(data: Any, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        find_state(data)
