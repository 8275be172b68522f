"""Tasks drawn by the size of their datasets."""

import math
import random
from collections.abc import Mapping

from mtl_cli.schedules.base import Schedule, turns
from mtl_cli.seeding import derive


class Temperature(Schedule):
    """One task per step, or the tasks of one dataset, drawn with probability pᵢ ∝ Nᵢ^α, N the size of its dataset.

    Source: Sanh, Wolf, Ruder, "A Hierarchical Multi-task Approach for Learning Embeddings from Semantic Tasks",
    AAAI 2019 (proportional sampling, α = 1); with α = 1/τ, Arivazhagan et al., "Massively Multilingual Neural Machine
    Translation in the Wild: Findings and Challenges", arXiv 1907.05019. α = 0 is uniform.

    Args:
        epoch_length: see `Schedule`.
        alpha: α.
        unit: what is drawn, "task" or "dataset" (all its tasks at once).
        steps_per_pass: see `Schedule`, as the following.
        sizes: training samples, by dataset.
        dataset_of: the dataset of each trained task.
        seed: seed of the run; with a step's number it gives that step's draw.

    Raises:
        ValueError: `alpha` is negative or not finite, or `unit` neither of its choices.
    """

    def __init__(
        self,
        epoch_length: str | int,
        alpha: float,
        unit: str,
        *,
        steps_per_pass: Mapping[str, int],
        sizes: Mapping[str, int],
        dataset_of: Mapping[str, str],
        seed: int,
    ) -> None:
        super().__init__(epoch_length, steps_per_pass=steps_per_pass, sizes=sizes, dataset_of=dataset_of, seed=seed)
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(
                f"schedule.alpha is {alpha}; an exponent is a finite number ≥ 0. "
                "Use schedule.alpha=1 for sampling by size, 0 for uniform sampling."
            )
        self.turns = turns(unit, dataset_of)
        largest = max(sizes.values())
        self.weights = [(sizes[dataset_of[tasks[0]]] / largest) ** alpha for tasks in self.turns]

    def tasks(self, step: int) -> tuple[str, ...]:
        """Return the tasks drawn for step `step`."""
        stream = random.Random(derive(self.seed, "schedule", step))
        return stream.choices(self.turns, self.weights)[0]
