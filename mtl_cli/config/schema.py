"""The plain knobs of a run, each with its unit, range and default."""

import dataclasses
import functools
import typing
from dataclasses import dataclass, field
from typing import Any

from mtl_cli.config.annotations import ANY, Rule, problem


def knob(
    default: Any,  # noqa: ANN401  a value of any plain type
    *,
    low: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
) -> Any:  # noqa: ANN401  what dataclasses.field returns
    """Return a field whose values are ≥ `low`, > `above` and < `below`, or among `choices` or match `pattern`."""
    return field(default=default, metadata={"rule": Rule(low, above, below, choices, pattern)})


@dataclass
class Data:
    """Where examples come from."""

    source: str = knob("packaged", choices=("packaged", "torchvision"))
    """The data shipped with this program (packaged), or the official files through torchvision."""
    root: str | None = None
    """Folder of the data files: official ones with data.source=torchvision, and your own tables."""
    batch_size: int = knob(128, low=1)
    """Rows of each dataset per draw; an optimizer step adds up trainer.accumulate draws."""
    workers: int = knob(0, low=0, below=1025)
    """Processes that read ahead; 0 reads in the training process."""
    folds: int | None = knob(None, low=2)
    """Folds of a cross-validation, for datasets that are divided when they are read; null = none."""
    fold: int = knob(0, low=0)
    """The fold that is the test split, 0 to data.folds - 1; -m data.fold=0,1,2 gives mean and deviation."""
    inner_folds: int | None = knob(None, low=2)
    """Folds of the training and validation rows together, for any dataset; null = its own validation rows."""
    inner_fold: int = knob(0, low=0)
    """The inner fold that is the validation split, 0 to data.inner_folds - 1; the test split stays outside."""
    train_on: str = knob("train", choices=("train", "train+val"))
    """Splits that are trained on; with train+val no row is left to select by, so set selection.metric=last."""


@dataclass
class Trainer:
    """How long, where and how training goes."""

    max_epochs: int | None = knob(6, low=1)
    """Epochs; null = only trainer.max_steps limits the run."""
    max_steps: int | None = knob(None, low=1)
    """Optimizer steps; null = only trainer.max_epochs limits the run."""
    eval_every: int = knob(1, low=1)
    """Epochs between evaluations on validation data."""
    device: str = knob("auto", choices=("auto", "cpu", "cuda", "mps"), pattern=r"cuda:\d+")
    """Where the model is trained: auto, cpu, cuda, cuda:N or mps."""
    precision: str = knob("auto", choices=("auto", "fp32", "bf16", "fp16"))
    """Numbers of the arithmetic: fp32, bf16, fp16 (GPUs), or auto (bf16 for large models on fast hardware)."""
    eval_precision: str = knob("fp32", choices=("fp32", "bf16", "auto"))
    """Numbers of the arithmetic in evaluations and predictions: fp32, bf16, or auto (as in training)."""
    threads: int | None = knob(None, low=1, below=4097)
    """CPU threads; null = as torch chooses."""
    accumulate: int = knob(1, low=1, below=65537)
    """Draws of data.batch_size rows that a step adds up: k times the rows, in the memory of one draw."""
    devices: int = knob(1, low=1, below=65537)
    """Processes, one per device: k of them make k times trainer.accumulate."""
    strategy: str = knob("ddp", choices=("ddp", "fsdp"))
    """What each of several processes holds of the model: all of it (ddp), or a part of every weight (fsdp)."""
    batch_norm: str = knob("sync", choices=("sync", "local"))
    """Rows that batch norm sees on several devices: of all (sync) or its own (local)."""
    clip_norm: float | None = knob(None, above=0.0)
    """Largest norm of the gradient; null = no clipping."""
    log_every: int = knob(50, low=1)
    """Optimizer steps between log records."""
    on_nonfinite: str = knob("stop", choices=("stop", "skip", "rollback"))
    """After a loss or gradient that is not finite: stop, skip the step, or rollback."""
    compile: bool = False
    """Run stages and heads as code that torch.compile makes; needs a C++ compiler."""
    profile: bool = False
    """Record some steps with torch's profiler: a trace and a table of where the time goes, in profile/."""


@dataclass
class Save:
    """When checkpoints are written."""

    every: int | None = knob(None, low=1)
    """Optimizer steps between checkpoints; null = at each evaluation."""
    every_minutes: float | None = knob(None, above=0.0)
    """Minutes between further checkpoints, besides those of save.every; null = none."""
    keep: int = knob(2, low=1)
    """Number of checkpoints that are kept besides the best one."""


@dataclass
class EarlyStopping:
    """When training stops before its limit."""

    metric: str | None = None
    """Metric that must improve: skill or <task>/<metric>; null = selection.metric."""
    patience: int | None = knob(None, low=1)
    """Evaluations without an improvement before the run stops; null = never."""


@dataclass
class Ema:
    """An exponential moving average of the weights."""

    decay: float | None = knob(None, above=0.0, below=1.0)
    """Share of the average that each optimizer step keeps; null = no average."""


@dataclass
class Privacy:
    """How much a model may tell of single training rows (DP-SGD)."""

    epsilon: float | None = knob(None, above=0.0)
    """The most ε that the whole run may spend, from which the noise follows; null = no privacy."""
    delta: float | None = knob(None, above=0.0, below=1.0)
    """The δ at which ε is counted: less than one over the number of training rows."""
    noise: float | None = knob(None, low=0.0)
    """Deviation of the noise in units of privacy.clip_norm, instead of privacy.epsilon; null = from ε."""
    clip_norm: float = knob(1.0, above=0.0)
    """Largest norm of the gradient of one row."""


@dataclass
class Selection:
    """Which checkpoint is the best."""

    metric: str = "skill"
    """Validation metric: skill (mean gain over a trivial predictor, each at least -1), <task>/<metric> or last."""


@dataclass
class Config:
    """A whole config: plain knobs, and component nodes that the files of the groups fill."""

    seed: int = knob(0, low=0, below=2.0**63)
    """Seed of everything random."""
    deterministic: bool = False
    """Use only deterministic algorithms, also on a GPU."""
    debug: bool = False
    """Show tracebacks."""
    verbose: bool = False
    """Show more on the console."""
    quiet: bool = False
    """Show only warnings and the final table on the console."""
    logger: str = knob("none", choices=("none", "tensorboard"))
    """Where records go besides the run directory's metrics.jsonl: none, or tensorboard (RUN_DIR/tensorboard)."""
    dry_run: bool = False
    """Do everything up to the first step, then say what would run; nothing is written."""
    lr_range_test: bool = False
    """In place of a run, raise the learning rate for 100 steps and draw the loss, into hydra.run.dir."""
    overfit: int | None = knob(None, low=1)
    """Train and evaluate on so many batches of each training split only, which a sound model learns by heart."""
    resume: str | None = None
    """Run directory or checkpoint to continue, or auto (hydra.run.dir, if begun); only on the command line."""
    init_from: str | None = None
    """Run directory or checkpoint whose weights training starts from."""
    freeze: str = knob("none", choices=("none", "trunk"), pattern=r"stages:[1-9]\d*")
    """Parameters that are not trained: none, trunk, or stages:N (the first N stages)."""
    trust: list[str] = field(default_factory=list)
    """Modules of yours that a config may name as _target_."""
    data: Data = field(default_factory=Data)
    trainer: Trainer = field(default_factory=Trainer)
    save: Save = field(default_factory=Save)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    ema: Ema = field(default_factory=Ema)
    privacy: Privacy = field(default_factory=Privacy)
    selection: Selection = field(default_factory=Selection)
    tasks: dict[str, Any] = field(default_factory=dict)
    backbone: dict[str, Any] = field(default_factory=dict)
    sharing: dict[str, Any] = field(default_factory=dict)
    weighting: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    lr_schedule: dict[str, Any] = field(default_factory=dict)


COMPONENTS = ("tasks", "backbone", "sharing", "weighting", "schedule", "optimizer", "lr_schedule")
KNOWN_KEYS = frozenset(item.name for item in dataclasses.fields(Config))
"""The top-level keys of a config."""
RESUMABLE = (
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.device",
    "trainer.devices",
    "trainer.strategy",
    "trainer.accumulate",
    "trainer.log_every",
    "trainer.profile",
    "trainer.compile",
    "save.",
)
"""The knobs that a resumed run may change: keys, or sections, which end in a dot."""
CONSOLE = ("debug", "verbose", "quiet", "logger", "resume")
"""The knobs that do not change what a run computes; a config's hash leaves them out."""


@dataclass(frozen=True)
class Knob:
    """One plain value of the config: its key, type, default and range."""

    key: str
    hint: Any
    default: Any
    rule: Rule

    def problem(self, value: Any) -> str | None:  # noqa: ANN401  what is checked
        """Return what is wrong with a value and how to fix it, or None."""
        return problem(self.key, value, self.hint, self.rule, self.default)

    @property
    def described(self) -> str:
        """The values that fit, in words."""
        return self.rule.described(self.hint)


@functools.cache
def knobs() -> dict[str, Knob]:
    """Return every plain knob by its dotted key."""
    return knobs_of(Config)


def knobs_of(schema: type, prefix: str = "") -> dict[str, Knob]:
    """Return every plain knob of a dataclass by its dotted key."""
    found = {}
    hints = typing.get_type_hints(schema)
    for item in dataclasses.fields(schema):
        hint, key = hints[item.name], prefix + item.name
        if dataclasses.is_dataclass(hint):
            found.update(knobs_of(typing.cast(type, hint), f"{key}."))
        elif key not in COMPONENTS:
            default = item.default if item.default is not dataclasses.MISSING else []
            found[key] = Knob(key, hint, default, item.metadata.get("rule", ANY))
    return found


def sections() -> dict[str, list[str]]:
    """Return the names of the knobs of each section of the schema."""
    found: dict[str, list[str]] = {}
    for key in knobs():
        section, _, name = key.rpartition(".")
        if section:
            found.setdefault(section, []).append(name)
    return found
