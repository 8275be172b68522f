"""One run on several processes: how many there are, and what the first tells the others before they build."""

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.config.run_config import Config, copy_nodes
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.ranks.place import place_of
from mtl_cli.ranks.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Briefing:
    """What the first rank, which alone reads the command line and the run directory, tells the others."""

    config: Config
    """Resolved and checked."""
    directory: str
    modules: tuple[str, ...]
    """Modules that the config may name."""
    folders: tuple[str, ...]
    import_path: tuple[str, ...]
    judged: bool
    """Whether the run is a candidate of a search."""
    start: dict[str, Any] | None = None
    """Weights that training starts from."""
    state: dict[str, Any] | None = None
    """The checkpoint that the run continues from."""

    @classmethod
    def of(
        cls,
        config: Config,
        directory: Path,
        trust: Trust,
        judged: bool,
        start: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> "Briefing":
        """Return what the others need for a run that starts, from weights or not, or continues from a state."""
        folders, import_path = tuple(map(str, trust.folders)), tuple(folder or os.getcwd() for folder in sys.path)
        weights, checkpoint = (None if each is None else dict(each) for each in (start, state))
        return cls(config, str(directory), trust.modules, folders, import_path, judged, weights, checkpoint)


@contextmanager
def together(config: Config) -> Iterator[Ranks]:
    """Be the first rank of a run for a block: of one process, of those that torchrun or srun started, or of new ones.

    Raises:
        RunFailure: the ranks do not come together.
    """
    place = place_of()
    if place is None and config["trainer"]["devices"] == 1:
        yield ALONE
        return
    from mtl_cli.ranks.group import joined, spawned  # imports torch.distributed

    with spawned(config["trainer"]["devices"]) if place is None else joined(place) as ranks:
        yield ranks


def with_devices(config: Config) -> Config:
    """Return a config with the number of processes that torchrun or srun have started, where they have.

    Raises:
        UserError: `trainer.devices` says otherwise.
    """
    place = place_of()
    devices = config["trainer"]["devices"]
    if place is None or devices == place.size:
        return config
    if devices != 1:
        raise UserError(
            f"trainer.devices is {devices}, and {place.launcher} has started {place.size} processes. "
            "Leave trainer.devices out."
        )
    return {**copy_nodes(config), "trainer": {**config["trainer"], "devices": place.size}}


def devices_started() -> dict[str, int]:
    """Return `trainer.devices` as torchrun or srun say it, where they have started several processes."""
    place = place_of()
    return {} if place is None else {"trainer.devices": place.size}


def ranks_here(config: Config) -> int:
    """Return how many ranks of a run are on this machine."""
    place = place_of()
    return int(config["trainer"]["devices"]) if place is None else place.local_size


def device_problems(config: Config) -> list[str]:
    """Return what keeps a config's device from serving several ranks."""
    wanted, devices = config["trainer"]["device"], config["trainer"]["devices"]
    if devices > 1 and (wanted == "mps" or ":" in wanted):
        return [
            f"trainer.device is {wanted}, which is one device, and trainer.devices is {devices}. "
            "Use trainer.device=cuda or cpu, or trainer.devices=1."
        ]
    return []


def tell(ranks: Ranks, briefing: Briefing) -> None:
    """Tell the other ranks what they need."""
    if not ranks.alone:
        ranks.tell(lambda: {item.name: getattr(briefing, item.name) for item in dataclasses.fields(briefing)})


def hear(ranks: Ranks) -> Briefing:
    """Return what the first rank tells this one."""
    briefing = Briefing(**ranks.tell())
    sys.path += [folder for folder in briefing.import_path if folder not in sys.path]
    return briefing
