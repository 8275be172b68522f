"""Rows with a label of every kind, drawn from known distributions: what the best predictor says is known.

Inputs x are six standard normal numbers. Each kind has its own directions s = x·w, |w| = 1, and its own law given s; in
`truth` are the outputs that say this law exactly.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, FieldSpec, InputSpec, Sample
from mtl_cli.datasets.base import DataSource

SIZES = {"train": 6000, "val": 1500, "test": 6000}
CUTS = torch.tensor([-2.5, -0.8, 0.8, 2.5])
PER_GROUP = 10
FIELDS = {
    "binary": FieldSpec("class", 2),
    "classification": FieldSpec("class", 4),
    "multilabel": FieldSpec("multilabel", 3),
    "regression": FieldSpec("real", shape=(2,), mean=(50.0, -3.0), std=(11.2, 1.4)),
    "l1_regression": FieldSpec("real", mean=(50.0,), std=(11.2,)),
    "huber_regression": FieldSpec("real", mean=(50.0,), std=(11.2,)),
    "count": FieldSpec("count", mean=(6.0,)),
    "ordinal": FieldSpec("ordinal", len(CUTS) + 1),
    "survival": FieldSpec("survival"),
    "ranking": FieldSpec("ranking"),
}
WIDTHS = {"classification": 4, "multilabel": 3, "regression": 2}


def directions(kind: str) -> Tensor:
    stream = torch.Generator().manual_seed(list(FIELDS).index(kind))
    return F.normalize(torch.randn(6, WIDTHS.get(kind, 1), generator=stream), dim=0)


def truth(kind: str, inputs: Tensor) -> Tensor:
    """Return the outputs [N, num_outputs] of the law that labels of a kind were drawn from."""
    scores = inputs @ directions(kind)
    if kind in ("binary", "ranking", "classification", "multilabel"):
        return 2.0 * scores
    if kind == "regression":
        return torch.tensor([10.0, 1.0]) * scores / torch.tensor([11.2, 1.4])
    if kind in ("l1_regression", "huber_regression"):
        return 10.0 * scores / 11.2
    if kind == "count":
        return 0.7 * scores + torch.log(torch.tensor(5.0 / 6.0))
    if kind == "ordinal":
        beyond = F.pad(torch.sigmoid(2.0 * scores - CUTS), (1, 0), value=1.0)  # P(y > k), a first column for k = -1
        return torch.logit(beyond[:, 1:] / beyond[:, :-1])
    assert kind == "survival"
    return scores


def draw(kind: str, inputs: Tensor, stream: torch.Generator) -> Tensor:
    """Return labels of a kind, drawn from their law."""
    scores, rows = inputs @ directions(kind), len(inputs)
    outputs = truth(kind, inputs)
    noise = torch.rand(rows, outputs.shape[1], generator=stream)
    normal = torch.randn(rows, 2, generator=stream)
    if kind == "binary":
        return (noise[:, 0] < outputs[:, 0].sigmoid()).long()
    if kind == "ranking":
        clicks = (noise < outputs.sigmoid()).float()
        return torch.cat([clicks, (torch.arange(rows) // PER_GROUP).float()[:, None]], dim=1)
    if kind == "multilabel":
        return (noise < outputs.sigmoid()).float()
    if kind == "classification":
        return torch.multinomial(outputs.softmax(dim=1), 1, generator=stream)[:, 0]
    if kind == "regression":
        return torch.tensor([50.0, -3.0]) + torch.tensor([10.0, 1.0]) * scores + torch.tensor([5.0, 1.0]) * normal
    if kind in ("l1_regression", "huber_regression"):
        return 50.0 + 10.0 * scores[:, 0] + 5.0 * normal[:, 0]
    if kind == "count":
        return torch.poisson(5.0 * torch.exp(0.7 * scores[:, 0]), generator=stream)
    if kind == "ordinal":
        latent = 2.0 * scores[:, :1] + torch.logit(noise[:, :1])
        return (latent > CUTS).sum(dim=1)
    time = -torch.log1p(-noise[:, 0]) * torch.exp(-scores[:, 0])
    censored = torch.rand(rows, generator=stream) * 4.0
    return torch.stack([torch.minimum(time, censored), (time <= censored).float()], dim=1)


class Rows:
    """One split, in memory."""

    def __init__(self, inputs: Tensor, fields: Mapping[str, Tensor]) -> None:
        self.inputs, self.fields = inputs, dict(fields)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitems__(self, indices: Tensor) -> Sample:
        return Sample(self.inputs[indices], {name: field[indices] for name, field in self.fields.items()})

    def labels(self, field: str) -> Tensor:
        return self.fields[field]


class Generated(DataSource):
    """Labels of every kind; a share of `missing` training labels, entry by entry; `shuffled` ones say nothing."""

    def __init__(self, seed: int, batch_size: int, missing: float, shuffled: bool) -> None:
        self.batch_size = batch_size
        self.input_spec, self.field_specs = InputSpec("vector", (6,)), FIELDS
        self._splits = {}
        for number, (name, rows) in enumerate(SIZES.items()):
            stream = torch.Generator().manual_seed(100 * seed + number)
            inputs = torch.randn(rows, 6, generator=stream)
            fields = {kind: draw(kind, inputs, stream) for kind in FIELDS}
            if name == "train":
                for kind, field in fields.items():
                    lost = torch.rand(field.shape, generator=stream) < missing
                    if kind == "ranking":
                        lost[:, 1] = False  # the group is no label
                    fields[kind] = field.masked_fill(lost, torch.nan if field.is_floating_point() else MISSING_CLASS)
            if shuffled:
                order = torch.randperm(rows, generator=stream)
                fields = {kind: field[order] for kind, field in fields.items()}
            self._splits[name] = Rows(inputs, fields)

    def split(self, name: str) -> Rows:
        return self._splits[name]
