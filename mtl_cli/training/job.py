"""What training works on: the plan, how far it is, and all objects of a run."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from mtl_cli.config.annotations import typed
from mtl_cli.lr_schedules import LRSchedule
from mtl_cli.model.ema import EMA
from mtl_cli.model.transfer import state_problem
from mtl_cli.report.profile import NoProfiler, Profiler
from mtl_cli.schedules.base import Schedule
from mtl_cli.storage.checkpoint_checks import misfit
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.summary_base import LabelSummary
from mtl_cli.training.learner import Learner
from mtl_cli.training.loading import Stream
from mtl_cli.training.meters import Result
from mtl_cli.training.news import News
from mtl_cli.training.optimizer_state import load_optimizer, state_apart, state_together
from mtl_cli.training.window import Window
from mtl_cli.weightings.base import Weighting

ROLLBACK_FACTOR = 0.5
"""What going back to a checkpoint multiplies the learning rate by."""
Judge = Callable[[int, float], str | None]
"""Is told the epoch and the selection score (higher is better) of each evaluation; may say why the run should stop.

It may be told the same evaluation again, by a run that was killed and continued.
"""


@dataclass(frozen=True)
class Plan:
    """The plain knobs of training, as config.py describes them."""

    max_epochs: int | None
    max_steps: int | None
    eval_every: int
    accumulate: int
    devices: int
    clip_norm: float | None
    log_every: int
    on_nonfinite: str
    save_every: int | None
    save_every_minutes: float | None
    keep: int
    selection: str
    stop_metric: str | None
    patience: int | None

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step, of all ranks."""
        return self.devices * self.accumulate

    def num_steps(self, steps_per_epoch: int) -> int:
        """Return the optimizer steps of the whole run: `max_steps` where it is set, else `max_epochs` epochs."""
        if self.max_steps is not None:
            return self.max_steps
        assert self.max_epochs is not None, "checked with the config"
        return self.max_epochs * steps_per_epoch


@dataclass
class Progress:
    """How far a run is; all that a resumed run must know besides its tensors."""

    step: int = 0
    draws: dict[str, int] = field(default_factory=dict)
    selected_by: str | None = None
    """What decides which checkpoint is the best: `selection.metric`, or the mean loss where that is not defined."""
    best_score: float | None = None
    best_step: int = 0
    best_val: dict[str, float] = field(default_factory=dict)
    last_val: dict[str, float] = field(default_factory=dict)
    last_eval: int = 0
    """Step of the last evaluation, 0 before the first one."""
    last_score: float | None = None
    stop_best: float | None = None
    stale: int = 0
    skipped: int = 0
    loss_scale: float = 65536.0
    """What gradients are multiplied by in fp16."""
    good_steps: int = 0
    """Steps since the scale was changed or a gradient overflowed."""
    overflows: int = 0
    """Steps that were left out because a gradient overflowed in fp16."""
    rollbacks: int = 0
    samples: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0
    spans: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Progress":
        """Return the progress in a checkpoint.

        Raises:
            ValueError: a value is of another type, or negative.
        """
        found = typed(cls, state)
        whole = [value for value in vars(found).values() if type(value) is int]
        if min(*whole, *found.draws.values()) < 0:
            raise ValueError(f"progress has a number below 0: {str(state)[:200]}")
        return found


@dataclass
class Job:
    """Everything that training needs, built."""

    learner: Learner
    tasks: dict[str, Task]
    weighting: Weighting
    schedule: Schedule
    optimizer: torch.optim.Optimizer
    lr_schedule: LRSchedule
    ema: EMA | None
    train: dict[str, Stream]
    val: dict[str, Stream]
    test: dict[str, Stream]
    dataset_states: dict[str, Any]
    summaries: dict[str, LabelSummary]
    """What is known of the training labels, by task."""
    plan: Plan
    groups: dict[str, list[str]] = field(default_factory=dict)
    """The tasks of each group, whose means are reported under the group's name."""
    progress: Progress = field(default_factory=Progress)
    window: Window = field(default_factory=Window)
    baseline: dict[str, Result] | None = None
    undefined: set[str] | None = None
    """The metrics that are to decide and have no value on the validation data; known after the first evaluation."""
    profiler: Profiler = field(default_factory=NoProfiler)
    news: News | None = None
    """What the ranks tell each other with every step."""
    num_scheduled: int = 1
    """The first groups of the optimizer, whose learning rates are scheduled; that of the weighting comes after them."""
    judge: Judge | None = None
    """Whoever compares this run with others; the test split of such a candidate is not looked at."""

    def close(self) -> None:
        """Stop the processes that read data."""
        for stream in (*self.train.values(), *self.val.values(), *self.test.values()):
            stream.close()

    def gradients(self) -> list[Tensor]:
        """Return what this rank holds of the gradients of the trained parameters that have one."""
        found = [parameter.grad for parameter in self.learner.trained if parameter.grad is not None]
        return self.learner.strategy.own(found)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run: `max_steps` where it is set, else `max_epochs` epochs."""
        return self.plan.num_steps(self.schedule.steps_per_epoch)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.progress.step // self.schedule.steps_per_epoch

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of this job."""
        whole = self.learner.strategy.gathered
        return {
            "versions": {"torch": str(torch.__version__)},
            "model": whole(self.learner.model.state_dict()),
            "ema": None if self.ema is None else whole(self.ema.state_dict()),
            "optimizer": whole(state_apart(self.optimizer, self.learner.model)),
            "weighting": self.weighting.state_dict(),
            "datasets": self.dataset_states,
            "progress": {**asdict(self.progress), "window": self.window.state_dict()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        self.load_weights(state)
        kept = state_together(self.optimizer, self.learner.model, state["optimizer"])
        load_optimizer(self.optimizer, self.learner.strategy, kept)
        self.weighting.load_state_dict(state["weighting"])
        progress = dict(state["progress"])
        self.window.load_state_dict(progress.pop("window"), self.learner.arithmetic.device)
        self.progress = Progress.of(progress)

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Take over the weights of a checkpoint, and their average."""
        learner, divided = self.learner, self.learner.strategy.divided
        learner.model.load_state_dict(divided(state["model"], learner.model.state_dict()))
        if self.ema is not None:
            kept = dict(state["ema"])
            self.ema.load_state_dict({**kept, "averages": divided(kept["averages"], self.ema.by_name)})


def restore(job: Job, state: Mapping[str, Any]) -> None:
    """Load a checkpoint into a job.

    Raises:
        UserError: it does not fit the model.
    """
    try:
        job.load(state)
    except Exception as error:  # nonsense in the place of a state may raise anything
        reason = str(error).splitlines()[:3] if isinstance(error, RuntimeError | ValueError) else [repr(error)[:200]]
        raise misfit(state_problem(job.learner.model, state["model"]) or " ".join(reason)) from error
