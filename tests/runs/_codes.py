"""Codes of digits, of which one task writes the reverse, digit by digit, and another finds the places of zeros."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from mtl_cli.batch import FieldSpec, InputSpec, Sample, Split, pad_sets, set_entries, set_labelled
from mtl_cli.datasets.base import DataSource
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.base import Head, TeacherForced
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary

DIGITS, LENGTH = 4, 4
START = DIGITS


class Codes(DataSource):
    """Four digits, one-hot [16]; `reverse` int64 [4], and `zeros`, a set of places; every fifth row has no `zeros`."""

    def __init__(self, size: int, batch_size: int) -> None:
        self.batch_size, self.size = batch_size, size
        self.input_spec = InputSpec("vector", (DIGITS * LENGTH,))
        self.field_specs = {
            "reverse": FieldSpec("digits", DIGITS),
            "zeros": FieldSpec("places", shape=(1,), varying=True),
        }

    def split(self, name: str) -> "CodeRows":
        return CodeRows(self.size, ("train", "val", "test").index(name))

    def reads(self, path):
        return path.suffix == ".txt"

    def reading(self, path):
        return CodeFile(path)


class CodeRows(Split):
    def __init__(self, size, seed):
        self.digits = torch.randint(DIGITS, (size, LENGTH), generator=torch.Generator().manual_seed(seed))

    def __len__(self):
        return len(self.digits)

    def __getitems__(self, indices):
        digits = self.digits[indices]
        places = [(row == 0).nonzero().float() if k % 5 else None for k, row in zip(indices, digits, strict=True)]
        return Sample(one_hot(digits), {"reverse": digits.flip(1), "zeros": pad_sets(places, (1,))})


class CodeFile(Reading):
    """One code of digits per line."""

    def batches(self, size):
        lines = self.path.read_text().split()
        for start in range(0, len(lines), size):
            some = lines[start : start + size]
            yield NewRows(one_hot(torch.tensor([[int(digit) for digit in line] for line in some])), some)


def one_hot(digits: Tensor) -> Tensor:
    return F.one_hot(digits, DIGITS).float().flatten(1)


class Writer(Head):
    """Writes one digit after another, each from the features and the digit before."""

    gives = "digits"

    def __init__(self, cheats: bool = False) -> None:
        self.cheats = cheats

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        return Cheat(spec.width) if self.cheats else WriteDigits(spec.width, num_outputs)


class WriteDigits(TeacherForced):
    def __init__(self, width: int, num_outputs: int) -> None:
        super().__init__()
        self.before = nn.Embedding(DIGITS + 1, 8)
        self.steps = nn.ModuleList(nn.Linear(width + 8, num_outputs) for _ in range(LENGTH))
        self.length = nn.Linear(width, 1)

    def forward(self, features: Features, target: Tensor | None) -> Mapping[str, Tensor]:
        x = pool(features)
        before = torch.full((len(x), LENGTH), START) if target is None else F.pad(target[:, :-1], (1, 0), value=START)
        logits = [step(torch.cat([x, self.before(before[:, k])], dim=1)) for k, step in enumerate(self.steps)]
        return {"logits": torch.stack(logits, dim=1), "length": self.length(x)}

    def generate(self, features: Features) -> Mapping[str, Tensor]:
        x = pool(features)
        before, logits = torch.full((len(x),), START), []
        for step in self.steps:
            logits.append(step(torch.cat([x, self.before(before)], dim=1)))
            before = logits[-1].argmax(dim=1)
        return {"logits": torch.stack(logits, dim=1), "length": self.length(x)}


class Cheat(TeacherForced):
    """Copies the target where it sees one, and says 0 otherwise."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Linear(width, 1)

    def forward(self, features: Features, target: Tensor | None) -> Mapping[str, Tensor]:
        digits = torch.zeros(len(features.values), LENGTH, dtype=torch.int64) if target is None else target
        length = self.scale(pool(features))
        return {"logits": 20.0 * F.one_hot(digits, DIGITS) + 0.0 * length.unsqueeze(2), "length": length}

    def generate(self, features: Features) -> Mapping[str, Tensor]:
        return self(features, None)


class Reverse(Task):
    """Digits written one after another: cross-entropy per digit, and whole codes that are right."""

    primary = "exact"
    head_gives: ClassVar[str] = "digits"
    metric_info: Mapping[str, MetricInfo] = {"exact": MetricInfo()}

    @property
    def num_outputs(self) -> int:
        return DIGITS

    def loss(self, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        return F.cross_entropy(outputs["logits"].flatten(0, 1), target.flatten())

    def metrics(self):
        return {"exact": Exact()}

    def predictions(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["logits"].argmax(dim=2)

    def decode(self, outputs: Mapping[str, Tensor]) -> Columns:
        codes = ["".join(map(str, row)) for row in self.predictions(outputs).tolist()]
        return {f"{self.name}_prediction": np.array(codes, dtype=object)}

    def columns_of_no_rows(self) -> Columns:
        return {f"{self.name}_prediction": np.array([], dtype=object)}

    def trivial_outputs(self, summary: LabelSummary) -> Mapping[str, Tensor]:
        return {"logits": torch.zeros(LENGTH, DIGITS), "length": torch.zeros(1)}

    def repeated(self, outputs: Mapping[str, Tensor], target: Tensor) -> Mapping[str, Tensor]:
        return {name: value.expand(len(target), *value.shape) for name, value in outputs.items()}


class Exact(MeanMetric):
    def update(self, predictions: Tensor, target: Tensor) -> None:
        super().update((predictions == target).all(dim=1).float())


class SetSummary(LabelSummary):
    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        return set_labelled(labels)


class Zeros(Task):
    """The set of places of zeros: the loss is that of a yes or no at each place; how many rows have the right set."""

    primary = "exact"
    accepts = ("places",)
    summary_class: ClassVar[type[LabelSummary]] = SetSummary
    metric_info: Mapping[str, MetricInfo] = {"exact": MetricInfo(), "empty": MetricInfo()}

    @property
    def num_outputs(self) -> int:
        return LENGTH

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        known = set_labelled(target)
        return F.binary_cross_entropy_with_logits(outputs[known], as_marks(target[known]))

    def metrics(self):
        return {"exact": Exact(), "empty": EmptyShare()}

    def predictions(self, outputs: Tensor) -> Tensor:
        return (outputs > 0).float()

    def references(self, target: Tensor) -> Tensor:
        return as_marks(target)

    def decode(self, outputs: Tensor) -> Columns:
        sets = [" ".join(str(k) for k, there in enumerate(row) if there) for row in self.predictions(outputs).tolist()]
        return {f"{self.name}_prediction": np.array(sets, dtype=object)}

    def trivial_outputs(self, summary: LabelSummary) -> Tensor:
        return torch.full((LENGTH,), -1.0)


class EmptyShare(MeanMetric):
    """The share of labelled rows whose set is empty."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        super().update((target.sum(dim=1) == 0).float())


def as_marks(target: Tensor) -> Tensor:
    """Return sets of places [B, N, 1] as 1 where a place is in the set [B, LENGTH]."""
    marks = torch.zeros(len(target), LENGTH)
    there = set_entries(target)
    for row, (places, mark) in enumerate(zip(target[:, :, 0], there, strict=True)):
        marks[row, places[mark].long()] = 1.0
    return marks


def config_tasks(cheats: bool = False, names: Sequence[str] = ("reverse", "zeros")) -> dict:
    dataset = {"_target_": "tests.runs._codes.Codes", "size": 400, "batch_size": 20}
    heads = {
        "reverse": {"_target_": "tests.runs._codes.Writer", "cheats": cheats},
        "zeros": {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": [16]},
    }
    return {
        name: {
            "_target_": f"tests.runs._codes.{name.title()}", "target": name, "weight": 1.0, "head": heads[name],
            "dataset": dataset,
        }
        for name in names
    }  # fmt: skip
