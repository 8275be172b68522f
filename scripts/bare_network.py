"""The layers of a job as a person would write them down, for the hand-written loops of the benchmarks."""

from torch import Tensor, nn

from mtl_cli.training.job import Job


class Bare(nn.Module):
    """The job's layers as a person would write them down: one trunk, one linear head per task.

    With `own_layout` images enter it as the job's stem has them, channels last; else as they are.
    """

    def __init__(self, job: Job, own_layout: bool) -> None:
        super().__init__()
        model = job.learner.model
        stem, *stages = model.sharing.trunk.children()  # type: ignore[union-attr]  # of hard sharing
        self.stems = stem.stems if own_layout else None
        self.trunk = nn.Sequential(*stages)
        self.heads = nn.ModuleDict({name: head.layers for name, head in model.heads.items()})

    def forward(self, dataset: str, images: Tensor, tasks: list[str]) -> list[Tensor]:
        """Return the logits of tasks."""
        hidden = self.trunk(images if self.stems is None else self.stems[dataset](images))
        return [self.heads[task](hidden) for task in tasks]
