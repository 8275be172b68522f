"""Which rank this process is, as the program that started it says by environment variables; without torch."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mtl_cli.errors import UserError


@dataclass(frozen=True)
class Place:
    """One of `size` processes that `launcher` has started; `local_rank` counts those of its machine.

    The first rank waits for the others at `address` and `port`.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    launcher: str

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that reads the command line, and writes."""
        return self.rank == 0


OWN = "mtl-train"
"""The launcher where `trainer.devices` asks for several processes and nothing has started them."""
_BASE_PORT, _PORTS = 20000, 20000


def place_of(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place that `torchrun`, `srun` or submitit gave this process; None where it is the only one.

    Raises:
        UserError: a variable that both set has another kind of value.
    """
    try:
        return _of_torchrun(environment) or _of_slurm(environment) or _of_submitit(environment)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"The environment says that this is one of several processes, and {error} is missing or not a number. "
            "Start mtl-train by torchrun or srun, or alone with trainer.devices=N."
        ) from error


def _of_torchrun(found: Mapping[str, str]) -> Place | None:
    if "RANK" not in found or int(found.get("WORLD_SIZE", "1")) == 1:
        return None
    size = int(found["WORLD_SIZE"])
    return Place(
        int(found["RANK"]), size, int(found.get("LOCAL_RANK", found["RANK"])), int(found.get("LOCAL_WORLD_SIZE", size)),
        found.get("MASTER_ADDR", "127.0.0.1"), int(found["MASTER_PORT"]), found.get("MTL_LAUNCHER", "torchrun"),
    )  # fmt: skip


def _of_slurm(found: Mapping[str, str]) -> Place | None:
    """The script of sbatch has a number of tasks too, but belongs to no step with several."""
    in_step = "SLURM_STEP_NUM_TASKS" in found or "SLURM_STEP_ID" in found
    size = int(found.get("SLURM_STEP_NUM_TASKS", found.get("SLURM_NTASKS", "1")))
    if "SLURM_PROCID" not in found or not in_step or size == 1:
        return None
    nodes = found.get("SLURM_STEP_NODELIST", found.get("SLURM_JOB_NODELIST", "localhost"))
    number = int(found["SLURM_JOB_ID"]) * 31 + int(found.get("SLURM_STEP_ID", "0"))
    port = int(found.get("MASTER_PORT", _BASE_PORT + number % _PORTS))
    per_node = re.match(r"\d+", found.get("SLURM_STEP_TASKS_PER_NODE", str(size)))
    return Place(
        int(found["SLURM_PROCID"]), size, int(found["SLURM_LOCALID"]), int(per_node[0]) if per_node else size,
        found.get("MASTER_ADDR", first_host(nodes)), port, "srun",
    )  # fmt: skip


def _of_submitit(found: Mapping[str, str]) -> Place | None:
    """The jobs that submitit runs on this machine; those that it hands to Slurm have the variables of `srun`."""
    size = int(found.get("SUBMITIT_LOCAL_NTASKS", "1"))
    if size == 1 or "SUBMITIT_LOCAL_GLOBALID" not in found:
        return None
    rank, port = int(found["SUBMITIT_LOCAL_GLOBALID"]), _BASE_PORT + int(found["SUBMITIT_LOCAL_JOB_ID"]) % _PORTS
    return Place(rank, size, rank, size, "127.0.0.1", port, "submitit")


def first_host(nodes: str) -> str:
    """Return the first of Slurm's list of hosts, such as node07 of "node[07-09,12],other"."""
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+))?", nodes)
    return "localhost" if match is None else match[1] + (match[2] or "")
