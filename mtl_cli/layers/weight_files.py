"""Weights of a pretrained network from a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cli.errors import UserError, not_installed

INSIDE = ("state_dict", "model", "model_state_dict")
"""Under which a file may hold the weights beside other things."""
PREFIXES = ("module.", "model.", "backbone.")
"""With which all names may begin."""


def read_weights(path: Path, key: str) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file, or of a state dict saved by torch, by name.

    Raises:
        UserError: there is no such file, or it holds something else. `key` is the config's, for the message.
    """
    if not path.is_file():
        raise UserError(
            f"{key} is {path}, which is not a file. Give a .safetensors file or a state dict, or {key}=null."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise not_installed("Such files are read by safetensors", error, "images") from error
    except Exception as error:  # a damaged file raises what its reader happens to raise
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{key} is {path}, from which no weights can be read: {reason} Use {key}=null.") from error
    for name in INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(each, Tensor) for each in found.values()):
        raise UserError(f"{key} is {path}, which is not a state dict of tensors by name. Use {key}=null.")
    return dict(found)


def load_weights(
    module: nn.Module, weights: Mapping[str, Tensor], key: str, first: str, left_out: tuple[str, ...]
) -> None:
    """Load weights into a network whose first convolution, `first`, may take another number of channels.

    Names that begin with one of `left_out`, such as a classifier's, may be missing or there in vain.

    Raises:
        UserError: names or shapes do not fit.
    """
    own = module.state_dict()
    found = dict(weights)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    found = {k: v for k, v in found.items() if not k.startswith(left_out) and not k.endswith("num_batches_tracked")}
    if first in found and first in own:
        found[first] = adapted(found[first], own[first].shape[1])
    wanted = {name for name in own if not name.startswith(left_out) and not name.endswith("num_batches_tracked")}
    wrong = [
        *(f"{name} is missing" for name in sorted(wanted - set(found))),
        *(f"{name} is not known" for name in sorted(set(found) - set(own))),
        *(
            f"{name} is {list(found[name].shape)} instead of {list(own[name].shape)}"
            for name in sorted(set(found) & set(own))
            if found[name].shape != own[name].shape
        ),
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"The weights of {key} do not fit the network: {', '.join(wrong[:3])}{more}. Use {key}=null.")
    module.load_state_dict(found, strict=False)


def adapted(kernel: Tensor, channels: int) -> Tensor:
    """Return the kernel [O, I, h, w] of a first convolution for images of another number of channels.

    Its channels are repeated in order and scaled by I/channels. So a grey image gives what it gives as I equal
    channels, and the size of what comes out stays about the same.
    """
    known = kernel.shape[1]
    if channels == known:
        return kernel
    if channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    repeats = -(-channels // known)
    return kernel.repeat(1, repeats, 1, 1)[:, :channels] * (known / channels)
