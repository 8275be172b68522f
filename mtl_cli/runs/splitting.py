"""Whether a run may go on with its steps divided in another way: over other processes and micro-batches."""

from torch import nn

from mtl_cli.config.run_config import Config
from mtl_cli.ranks.batch_norm import batch_norms


def split_problems(before: Config, after: Config) -> list[str]:
    """Return what is wrong with the processes and micro-batches of a run that goes on.

    A step has devices × accumulate micro-batches, whatever process takes them. Another number of them takes other rows.
    """
    (own, own_micro), (new, new_micro) = _numbers(before), _numbers(after)
    total = own * own_micro
    if new * new_micro == total:
        return []
    fits = (new, total // new) if total % new == 0 else (own, own_micro)
    return [
        f"The run takes steps of {total} micro-batches (trainer.devices={own} trainer.accumulate={own_micro}), and "
        f"trainer.devices={new} trainer.accumulate={new_micro} makes {new * new_micro}. "
        f"Use trainer.devices={fits[0]} trainer.accumulate={fits[1]}."
    ]


def norm_problems(model: nn.Module, before: Config, after: Config) -> list[str]:
    """Return why a model cannot go on on another number of processes: its batch norms would see other rows."""
    (own, own_micro), (new, _) = _numbers(before), _numbers(after)
    if own == new or not batch_norms(model) or after["trainer"]["batch_norm"] == "local":
        return []
    return [
        f"The model has batch norms, which saw the rows of {own} processes at once (trainer.batch_norm=sync) and would "
        f"see those of {new}. Use trainer.devices={own} trainer.accumulate={own_micro}."
    ]


def _numbers(config: Config) -> tuple[int, int]:
    trainer = config["trainer"]
    return int(trainer.get("devices", 1)), int(trainer["accumulate"])
