"""Where and in which precision a model runs."""

import contextlib
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.backends.cudnn

from mtl_cli.config.run_config import Config
from mtl_cli.errors import UserError
from mtl_cli.ranks.ranks import Ranks


@dataclass(frozen=True)
class Arithmetic:
    """Where and in which precision a model runs; parameters and losses stay float32."""

    device: torch.device
    bf16: bool
    eval_bf16: bool = False
    """The same of evaluations and predictions: bf16 has 8 bits, too few for probabilities of many different values."""

    fp16: bool = False
    """Whether training is in fp16, with its gradients scaled (`mtl_cli.training.loss_scale`)."""

    @property
    def evaluation(self) -> "Arithmetic":
        """The arithmetic of evaluations and predictions."""
        return replace(self, bf16=self.eval_bf16, fp16=False)

    @property
    def precision(self) -> str:
        """The precision as `trainer.precision` names it."""
        return "fp16" if self.fp16 else "bf16" if self.bf16 else "fp32"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context for a forward pass."""
        if not (self.bf16 or self.fp16):
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.float16 if self.fp16 else torch.bfloat16)

    def synchronize(self) -> None:
        """Wait until the device has done what it was given; a CPU has."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def make_arithmetic(config: Mapping[str, Any]) -> Arithmetic:
    """Return the device and precisions that `trainer.device`, `precision` and `eval_precision` ask for.

    Raises:
        UserError: this machine has no such device.
    """
    wanted = config["trainer"]["device"]
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(wanted)
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise UserError(f"trainer.device is {wanted}, which this machine does not have. Use trainer.device=cpu.")
    precision, evaluation = config["trainer"]["precision"], config["trainer"]["eval_precision"]
    if precision == "fp16" and device.type != "cuda":
        raise UserError(f"trainer.precision=fp16 needs a GPU of NVIDIA, and this run is on {device}. "
                        "Use trainer.precision=bf16 or fp32.")  # fmt: skip
    bf16 = has_fast_bf16(device) if precision == "auto" else precision == "bf16"
    eval_bf16 = bf16 if evaluation == "auto" else evaluation == "bf16"
    return Arithmetic(device, bf16, eval_bf16, fp16=precision == "fp16")


def on_rank(arithmetic: Arithmetic, ranks: Ranks) -> Arithmetic:
    """Return the arithmetic of a rank: among several, that of the GPU with its number on its machine.

    Raises:
        UserError: the machine has fewer GPUs than ranks, or a device that several processes cannot share.
    """
    if ranks.alone or arithmetic.device.type == "cpu":
        return arithmetic
    if arithmetic.device.type != "cuda" or ranks.local_rank >= torch.cuda.device_count():
        raise UserError(
            f"Rank {ranks.rank} has no {arithmetic.device.type} device of its own. "
            "Use trainer.device=cpu, or fewer trainer.devices."
        )
    device = torch.device("cuda", ranks.local_rank)
    torch.cuda.set_device(device)
    return replace(arithmetic, device=device)


def has_fast_bf16(device: torch.device) -> bool:
    """True where the hardware's flags say that bf16 is fast: a GPU with bf16 units, a CPU with AMX or AVX512_BF16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = (torch.cpu._is_amx_tile_supported, torch.cpu._is_avx512_bf16_supported)
    return device.type == "cpu" and platform.machine() == "x86_64" and any(flag() for flag in flags)


LARGE_PRODUCT = 13_000_000
"""Operations of one matrix product or convolution from which on a CPU gains by bf16; below, casts cost what it saves.

Steps/s against float32 at so many million, on one core with AVX512_BF16: 0.51 for a GRU of width 64, 0.75 at 1.4, 0.76
at 8, 0.96 at 12.5, 1.21 at 14 (convolutions), 1.05 to 1.16 at 23 to 25, 1.54 at 52, 1.62 at 267."""


def suited(arithmetic: Arithmetic, config: Mapping[str, Any], operations: int, products: int) -> Arithmetic:
    """Return the arithmetic with `trainer.precision=auto` decided: on a CPU bf16 is for models of large products alone.

    A forward pass of a step has so many `operations` in so many `products`. It is a rule, not a measurement, so that
    two runs of one config agree.
    """
    if config["trainer"]["precision"] != "auto" or arithmetic.device.type != "cpu" or not arithmetic.bf16:
        return arithmetic
    bf16 = operations >= LARGE_PRODUCT * max(1, products)
    evaluation = bf16 if config["trainer"]["eval_precision"] == "auto" else arithmetic.eval_bf16
    return replace(arithmetic, bf16=bf16, eval_bf16=evaluation)


@contextmanager
def torch_settings(config: Config, ranks_here: int = 1) -> Iterator[None]:
    """Set threads, determinism and the meaning of fp32 for one run, and give them back after it.

    Several ranks on one machine share its threads, where `trainer.threads` does not say how many each has.
    Torch lets convolutions on a GPU round their inputs to 10 bits (TF32) by default; here fp32 means float32.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    benchmark, rounded = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    if config["trainer"]["threads"] is not None:
        torch.set_num_threads(config["trainer"]["threads"])
    elif ranks_here > 1:
        torch.set_num_threads(max(1, threads // ranks_here))
    if config["deterministic"]:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)  # it imports torch's compiler: two seconds
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cudnn.allow_tf32 = rounded
