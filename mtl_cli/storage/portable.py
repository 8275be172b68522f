"""What predictions need of a checkpoint: as a checkpoint of its own, or as tensors and JSON without a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtl_cli.errors import UserError, not_installed
from mtl_cli.storage import checkpoint

KEPT = ("config", "datasets", "calibration")
"""What is kept beside the weights, where it is there."""
TENSOR = "$tensor"
"""Key of a mapping that stands for a tensor in JSON."""
FILES = {"torch": ("model.pt",), "safetensors": ("model.safetensors", "state.json")}


def portable(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint without optimizer, weighting and progress; the weights are those that predict."""
    empty: dict[str, Any] = {"optimizer": {}, "weighting": {}, "ema": None, "metrics_length": 0}
    identity = {key: state[key] for key in ("config_hash", "versions")}
    step = {"step": state["progress"].get("step", 0)}
    kept = {key: state[key] for key in KEPT if key in state}
    return {**empty, **identity, "progress": step, **kept, "model": checkpoint.weights_of(state)}


def write_state(folder: Path, state: Mapping[str, Any], form: str) -> None:
    """Write a state into a folder in one of the forms of `FILES`.

    Raises:
        UserError: a package is missing.
    """
    if form == "torch":
        torch.save({"format": checkpoint.FORMAT, **state}, folder / "model.pt")
        return
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise not_installed("Weights are written by safetensors", error, "images") from error
    tensors: dict[str, Tensor] = {}
    plain = {key: _plain(state[key], key, tensors) for key in state}
    save_file(
        {name: each.detach().clone().contiguous() for name, each in tensors.items()}, folder / "model.safetensors"
    )
    (folder / "state.json").write_text(json.dumps(plain, ensure_ascii=False), encoding="utf-8")


def read_state(files: Mapping[str, Path], form: str) -> dict[str, Any]:
    """Return the state in the files of a form.

    Raises:
        UserError: it is damaged, or a package is missing.
    """
    if form == "torch":
        return checkpoint.load(files["model.pt"])
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise not_installed("Weights are read by safetensors", error, "images") from error
    try:
        tensors = load_file(files["model.safetensors"])
        state = _filled(json.loads(files["state.json"].read_text(encoding="utf-8")), tensors)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{files['model.safetensors']} cannot be read: {str(error)[:200]}.") from error
    if not isinstance(state, dict) or any(
        not isinstance(state.get(key), kind) for key, kind in checkpoint.KINDS.items()
    ):
        raise UserError(f"{files['state.json']} does not hold a model of mtl-cli.")
    return state


def _plain(value: Any, at: str, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401  tensors and plain data
    """Return plain data in which tensors are named, and mappings with other keys than texts are lists of pairs."""
    if isinstance(value, Tensor):
        tensors[at] = value
        return {TENSOR: at}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value) and TENSOR not in value:
            return {key: _plain(each, f"{at}/{key}", tensors) for key, each in value.items()}
        return {"$pairs": [[key, _plain(each, f"{at}/{key}", tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        items = [_plain(each, f"{at}/{index}", tensors) for index, each in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    return value


def _filled(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, list):
        return [_filled(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if TENSOR in value:
        return tensors[value[TENSOR]]
    if "$pairs" in value:
        return {key: _filled(each, tensors) for key, each in value["$pairs"]}
    if "$tuple" in value:
        return tuple(_filled(each, tensors) for each in value["$tuple"])
    return {key: _filled(each, tensors) for key, each in value.items()}
