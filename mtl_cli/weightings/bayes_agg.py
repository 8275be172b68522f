"""Bayesian uncertainty for gradient aggregation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.seeding import derive
from mtl_cli.weightings.base import require
from mtl_cli.weightings.last_layer_base import LastLayerWeighting
from mtl_cli.weightings.linalg.last_layer import Gaussian, evidence, moments
from mtl_cli.weightings.readout_base import CATEGORICAL, Readout
from mtl_cli.weightings.step_base import Pass, Setting, Step

LARGEST = 4096
"""The largest precision matrix [n, n]: 134 MB, of which a task keeps two."""
SMALLEST = 1e-8
"""The least variance of a gradient, as in the authors' code."""


class BayesAgg(LastLayerWeighting):
    """The mean of the tasks' gradients at the features, each entry weighted by (its variance)^(−power).

    A gradient at the features depends on the weights of the task's last layer. These have a posterior distribution, so
    that the gradient of each task, row and feature has a mean and a variance. The prior of a step is the posterior
    after the epoch before, whose own prior is N(0, gamma); the first epochs train with the plain sum of the losses.
    Each last layer gets the gradient of its own loss.

    Source: Achituve, Diamant, Netzer, Chechik & Fetaya, "Bayesian Uncertainty for Gradient Aggregation in Multi-Task
    Learning", ICML 2024, algorithm 1: exact for squared errors, by a second-order expansion and samples of the weights
    for cross-entropies. `gamma`, `power` and `num_samples` are as in the authors' code.
    Differs from the authors' code in that the posterior of an epoch adds up the expansions of its steps, each around
    the weights of its step, so that no features are kept; that biases are part of the posterior of squared errors too;
    that a task with several outputs counts once; and that the test-time predictions are those of the trained weights.
    Tasks of different datasets do not see the same rows: gradients are aggregated within a dataset and then summed. A
    declared weight multiplies the mean of a task's gradient and not its variance. Under `trainer.accumulate` the
    posterior is that of the whole step.
    """

    min_tasks = 2

    def __init__(
        self, warmup_epochs: int, gamma: float, power: float, num_samples: int, *, tasks: Sequence[str]
    ) -> None:
        super().__init__(tasks=tasks)
        require(warmup_epochs >= 1, "warmup_epochs", warmup_epochs, "at least 1", 1)
        require(gamma > 0, "gamma", gamma, "positive", 1.0)
        require(power >= 0, "power", power, "at least 0", 0.5)
        require(num_samples >= 2, "num_samples", num_samples, "at least 2", 512)
        self.warmup_epochs, self.gamma, self.power, self.num_samples = warmup_epochs, gamma, power, num_samples
        self.epoch = 0
        self.shapes: dict[str, tuple[int, int]] = {}
        """The blocks of each last layer's posterior and their size, (G, n)."""
        self.before: dict[str, Gaussian] = {}
        """What the last epoch says about each last layer."""
        self.now: dict[str, Gaussian] = {}
        """What the present epoch said so far."""

    def problems(self, setting: Setting) -> list[str]:
        """Return what keeps this weighting from serving a run, each with the override that fixes it."""
        found = super().problems(setting)
        for task, layer in setting.last_layers.items():
            outputs, width = layer.shape
            blocks, size = (outputs, width + 1) if layer.likelihood != CATEGORICAL else (1, outputs * (width + 1))
            self.shapes[task] = blocks, size
            if not layer.problem and size > LARGEST:
                found.append(
                    f"BayesAgg keeps the covariance of the last layer of '{task}', {size} × {size} numbers for {width} "
                    f"features; {LARGEST} is the most. Use a narrower last stage of the backbone, or weighting=fixed."
                )
        return found

    @property
    def silent_epochs(self) -> int:
        """Epochs before the method begins."""
        return self.warmup_epochs

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Backpropagate the aggregated gradients from the features, and each loss into its last layer."""
        self.at = (step.seed, step.index)
        if self.epoch < self.warmup_epochs:
            weights = self._plain(step)
            step.sum_gradients()
            return weights
        if step.keeps_graph:
            held = [(each, each.readouts()) for each in step.passes()]
            posteriors = self._posteriors(step, self._evidence(readouts for _, readouts in held))
            for each, readouts in held:
                self._backward(step, each, readouts, posteriors)
        else:
            with torch.no_grad():
                posteriors = self._posteriors(step, self._evidence(each.readouts() for each in step.replay()))
            for each in step.passes():
                self._backward(step, each, each.readouts(), posteriors)
        step.sum_gradients()
        return {}

    def _plain(self, step: Step) -> dict[str, Tensor]:
        found: dict[str, Gaussian] = {}
        for each in step.passes():
            found = self._evidence([each.readouts()], found)
            torch.stack(list(each.losses.values())).sum().backward()
        self._posteriors(step, found)
        return {task: torch.ones(()) for task in step.tasks}

    @staticmethod
    @torch.no_grad()
    def _evidence(
        passes: Iterable[Mapping[str, Readout]], before: Mapping[str, Gaussian] | None = None
    ) -> dict[str, Gaussian]:
        """Return what passes say of each last layer, added to what passes `before` them said."""
        found = dict(before or {})
        for readouts in passes:
            for task, readout in readouts.items():
                new = evidence(readout)
                found[task] = found[task] + new if task in found else new
        return found

    @torch.no_grad()
    def _posteriors(self, step: Step, own: Mapping[str, Gaussian]) -> dict[str, Gaussian]:
        """Return what is known of each last layer after this step, which the present epoch takes in."""
        posteriors = {}
        for task in step.tasks:
            new = own[task] if task in own else self._nothing(task, step)
            new = Gaussian(step.total(new.precision), step.total(new.linear))
            device = new.linear.device
            self.now[task] = self.now[task].to(device) + new if task in self.now else new
            posterior = self.before[task].to(device) + new if task in self.before else new
            posteriors[task] = posterior.with_prior(self.gamma)
        return posteriors

    def _nothing(self, task: str, step: Step) -> Gaussian:
        blocks, size = self.shapes[task]
        device = (step.partition.trunk or step.partition.above)[0].device
        return Gaussian(
            *(
                torch.zeros(shape, dtype=torch.float64, device=device)
                for shape in ((blocks, size, size), (blocks, size))
            )
        )

    def _backward(
        self, step: Step, each: Pass, readouts: Mapping[str, Readout], posteriors: Mapping[str, Gaussian]
    ) -> None:
        own = [parameter for task in each.losses for parameter in step.partition.specific.get(task, [])]
        if own:
            torch.stack(list(each.losses.values())).sum().backward(inputs=own, retain_graph=True)
        for dataset in dict.fromkeys(readout.dataset for readout in readouts.values()):
            here = {task: readout for task, readout in readouts.items() if readout.dataset == dataset}
            features = next(iter(here.values())).inputs
            if features.requires_grad:
                update = self._aggregated(step, here, posteriors)
                features.backward(update.to(features.dtype))

    @torch.no_grad()
    def _aggregated(self, step: Step, readouts: Mapping[str, Readout], posteriors: Mapping[str, Gaussian]) -> Tensor:
        """Return the gradient [B, D] of tasks that read the same features."""
        means, logs = [], []
        for task, readout in readouts.items():
            found = moments(readout, posteriors[task], self.num_samples, self._stream_of(task))
            means.append(readout.scale * found.mean)
            log = -self.power * found.variance.clamp(min=SMALLEST).log()
            logs.append(torch.where(readout.marks.any(dim=1, keepdim=True), log, -torch.inf))
        shares = torch.softmax(torch.stack(logs), dim=0).nan_to_num()  # 0 for rows without any label; [K, B, D]
        for task, share in zip(readouts, shares, strict=True):
            step.note(f"share/{task}", share.mean())
        return (shares * torch.stack(means)).sum(dim=0)

    def _stream_of(self, task: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive(*self.at, type(self).__name__, task))

    def after_epoch(self) -> None:
        """Make what the epoch said the prior of the next."""
        self.before, self.now = self.before | self.now, {}
        self.epoch += 1

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of epochs done, and what the last epoch and the present one say of each last layer."""
        parts = {"before": self.before, "now": self.now}
        states = {name: {task: [of.precision, of.linear] for task, of in part.items()} for name, part in parts.items()}
        return {"epoch": self.epoch, **states}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` returned."""
        self.epoch = state["epoch"]
        self.before, self.now = (
            {task: Gaussian(*pair) for task, pair in state[name].items()} for name in ("before", "now")
        )
