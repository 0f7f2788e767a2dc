"""Finding a model's weights in what was saved: behind names of wrappers and in dictionaries of trainers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from veca_edge.errors import VecaError, shown
from veca_edge.model.weights import check_tensor

# Left in names, anywhere, by DataParallel and AveragedModel, torch.compile, FSDP, checkpointing, and DeepSpeed. No
# weight of a VECA model has such a part in its name.
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
# What averages and trainers count, beside the weights.
_COUNTERS = ("n_averaged", "num_updates", "decay", "initted", "step", "num_batches_tracked", "global_step", "epoch")
_KEY = "patch_embed.proj.weight"  # every VECA model has it
_FLAT_KEY = _KEY.replace(".", "")
_LISTS = ("shadow_params", "collected_params")  # of averages that are kept without names
_DEPTH = 4  # dictionaries in each other that are looked into
_SEVERAL = 3
_STUDENT = "student"  # what published checkpoints call the model; beside it lie its teacher, its average

State = dict[str, Tensor]
Place = tuple[tuple[str, ...], Mapping[Any, Any], str]


def find_state(data: Any) -> State:
    """The state dict inside of a loaded checkpoint, with the names that a model of its own would have.

    It may lie in dictionaries of any names ("student", "state_dict", "model_ema", ...), and its names may begin
    with those of modules around it ("student.", "net.", ...) and hold those of wrappers anywhere. Of several
    models the student is taken.

    Raises:
        VecaError: no dictionary, no weights, several models none of which is the student, names that collide, or an
            entry that is not an ordinary tensor.
    """
    if not isinstance(data, Mapping):
        raise VecaError(f"not a checkpoint: holds a {type(data).__name__}, expected a dictionary with 'student'")
    student = data.get(_STUDENT)
    if student is not None and not isinstance(student, Mapping):
        raise VecaError(f"'student' is a {type(student).__name__}, expected a state dict (names to tensors)")
    places = list(_places(data if student is None else student, ()))
    if not places and student is not None:
        return _state(student, "", strict=True)  # whatever it lacks is named later
    if not places:
        raise _nothing_found(data)
    if len(places) > 1:
        places = [place for place in places if _STUDENT in (*place[0], *place[2].split("."))] or places
    if len(places) > 1:
        names = ", ".join(
            shown(".".join([*path, prefix]).strip(".") or "names without prefix")
            for path, _, prefix in places[:_SEVERAL]
        )
        raise VecaError(f"holds several models ({names}): save one of their state dicts alone, with torch.save")
    ((_, state, prefix),) = places
    return _state(state, prefix, strict=state is not data)


def plain_name(name: str) -> str:
    """A weight's name without the parts that wrappers left in it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _places(
    data: Mapping[Any, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any], str]]:
    """Where models lie: the dictionary with its path, and what their names begin with."""
    names = (
        plain_name(name) for name, value in data.items() if isinstance(name, str) and isinstance(value, Tensor)
    )
    prefixes = (name.removesuffix(_KEY) for name in names if name == _KEY or name.endswith(f".{_KEY}"))
    for prefix in dict.fromkeys(prefixes):
        yield path, data, prefix
    for name, value in data.items() if len(path) < _DEPTH else ():
        if isinstance(name, str) and isinstance(value, Mapping):
            yield from _places(value, (*path, name))


def _state(data: Mapping[Any, Any], prefix: str, strict: bool) -> State:
    """The weights whose names begin with a prefix; unless `strict`, what is no tensor is left out."""
    result: State = {}
    for name, value in data.items():
        if not isinstance(name, str):
            raise VecaError(f"weight name {shown(name)} is not text; save the model's state dict")
        plain = plain_name(name)
        if not plain.startswith(prefix) or not (strict or isinstance(value, Tensor)):
            continue
        plain = plain.removeprefix(prefix)
        if plain in _COUNTERS:
            continue
        if plain in result:
            raise VecaError(f"{shown(plain)} occurs twice, with different prefixes; save one state dict only")
        result[plain] = check_tensor(plain, value)
    return result


def _nothing_found(data: Mapping[Any, Any]) -> VecaError:
    found = ", ".join(shown(name) for name in list(data)[:_SEVERAL]) or "nothing"
    if any(name in data for name in _LISTS):
        return VecaError(
            "holds averaged weights without names (shadow_params): copy them to the model and save its state dict"
        )
    if any(isinstance(name, str) and name.endswith(_FLAT_KEY) for name in data):
        return VecaError(
            "holds averaged weights whose names lost their dots: copy them to the model and save its state dict"
        )
    return VecaError(f"not a VECA checkpoint: no 'student' and no model weights (found {found})")
