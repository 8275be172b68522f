"""Sharing modes, backbones and batches over which every mode is checked; both groups are found in conf/."""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mtl_cli.backbones.base import Backbone, BackboneFactory
from mtl_cli.backbones.mlp import MLP
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import Features, FeatureSpec, Stage, pool
from mtl_cli.seeding import seeded
from mtl_cli.sharing.base import Shared, Sharing
from tests.backbones._tiny_bert import TINY_BERT, tiny_bert
from tests.backbones._tiny_resnet import TinyResNet
from tests.sharing._unet import MapHead, Pyramid, UNet

CONF = Path(__file__).parents[2] / "conf"
MODES = sorted(path.stem for path in (CONF / "sharing").glob("*.yaml"))
assert "hard" in MODES, "the modes are found in conf/sharing"
assert len(MODES) > 10

TINY = {
    "hidden": [16, 16, 16], "channels": [4, 8], "dense": [16], "dropout": 0.0, "attention_dropout": 0.0, "embedding": 4,
    "width": 16, "blocks": 3, "heads": 2, "num_layers": 3, "widths": [2, 3], "kernel": 3,
}  # fmt: skip
"""Replaces what a backbone's YAML says, where it has the argument."""
VARIANTS = {
    "cross_stitch": {"per_channel": {"units": "per_channel"}, "dataset": {"partners": "dataset"}},
    "cross_attention": {"dataset": {"partners": "dataset"}},
    "hierarchical": {"two_depths": {"attach": {"right": 1}}, "inside": {"attach": {"left": 2, "right": 3}}},
    "dselect_k": {"static": {"gate": "static"}, "three": {"num_experts": 3, "entropy": 0.01}},
    "mmoe": {"deep": {"expert_stages": 2}},
    "cgc": {"many": {"num_shared_experts": 2, "num_task_experts": 2}},
    "ple": {"many": {"num_shared_experts": 2, "num_task_experts": 2}},
    "ltb": {"search": {"search_from": 0.0}, "three": {"num_branches": 3, "search_from": 0.0}},
    "mtlora": {"trained": {"freeze_trunk": False}, "deep": {"task_stages": 2}},
    "adapters": {"frozen": {"freeze_trunk": True}},
}
"""Settings, by mode, that are checked besides those of the YAML."""
CASES = [(mode, "yaml") for mode in MODES] + [(mode, variant) for mode, of in VARIANTS.items() for variant in of]


def target(config: Mapping[str, Any]) -> type:
    """Return the class that a component's YAML names."""
    module, name = config["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def arguments(path: str) -> dict[str, Any]:
    """Return what the YAML `conf/<path>.yaml` says."""
    return yaml.safe_load((CONF / f"{path}.yaml").read_text())


def sharing(mode: str, factory: BackboneFactory, variant: str = "yaml", **overrides: Any) -> Sharing:
    """Return a mode built from its YAML, a variant of it and overrides."""
    config = arguments(f"sharing/{mode}")
    cls = target(config)
    settings = config | VARIANTS.get(mode, {}).get(variant, {}) | overrides
    attach = settings.get("attach")
    if attach == "???":
        settings["attach"] = {task: 1 for task in factory.tasks if task == "left"}
    elif attach:
        settings["attach"] = {task: stage for task, stage in attach.items() if task in factory.tasks}
    del settings["_target_"]
    return cls(**settings, backbone=factory, tasks=factory.tasks)


class Tokens(Backbone):
    """Padded sequences: embedding, packed GRU, attention under the mask; ids [B, L], 0 is padding."""

    def common_input(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        if any(spec.kind != "tokens" for spec in inputs.values()):
            raise ValueError("tokens only")
        return next(iter(inputs.values()))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        return Embed()

    def stages(self, common: InputSpec) -> dict[str, Any]:
        return {"gru": PackedGRU, "attend": Attend, "dense": lambda: nn.Sequential(nn.Linear(8, 8), nn.Tanh())}


class Embed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6)

    def forward(self, ids: Tensor) -> Features:
        return Features(self.table(ids), ids != 0)


class PackedGRU(Stage):
    takes_mask = True

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 4, batch_first=True, bidirectional=True)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        packed = pack_padded_sequence(values, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=values.shape[1])
        return out


class Attend(Stage):
    takes_mask = True

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return values + self.attention(values, values, values, key_padding_mask=~mask, need_weights=False)[0]


def images(size: int) -> Tensor:
    """Return `size` images [B, 1, 12, 12]: a pattern for each of 3 classes in turn, plus noise."""
    stream = torch.Generator().manual_seed(size)
    return torch.randn(3, 1, 12, 12, generator=stream)[labels(size)] + torch.rand(size, 1, 12, 12, generator=stream)


def labels(size: int) -> Tensor:
    """Return the classes [B]: 0, 1, 2, 0, 1, …"""
    return torch.arange(size) % 3


def vectors(size: int) -> Tensor:
    """Return `size` vectors of noise [B, 9]."""
    return torch.randn(size, 9, generator=torch.Generator().manual_seed(size))


def ids(size: int) -> Tensor:
    """Return `size` sequences [B, 7] of 2 to 7 tokens, padded with 0."""
    stream = torch.Generator().manual_seed(size)
    lengths = torch.randint(2, 8, (size, 1), generator=stream)
    return torch.randint(1, 20, (size, 7), generator=stream) * (torch.arange(7) < lengths)


def tables(size: int) -> dict[str, Tensor]:
    """Return `size` rows of a table: numbers [B, 5] of noise and categories [B, 2]."""
    stream = torch.Generator().manual_seed(size)
    categorical = torch.stack([torch.randint(0, count, (size,), generator=stream) for count in (4, 3)], dim=1)
    return {"numeric": torch.randn(size, 5, generator=stream), "categorical": categorical}


def texts(size: int) -> dict[str, Tensor]:
    """Return the sequences of `ids` as texts: the ids [B, 7] and their mask."""
    return {"ids": ids(size), "mask": ids(size) != 0}


def sounds(size: int) -> dict[str, Tensor]:
    """Return sounds of noise: frames [B, 14, 6] of 4 to 14 real ones, and their mask."""
    stream = torch.Generator().manual_seed(size)
    lengths = torch.randint(4, 15, (size, 1), generator=stream)
    return {"frames": torch.randn(size, 14, 6, generator=stream), "mask": torch.arange(14) < lengths}


KINDS: dict[str, tuple[InputSpec, Callable[[int], Tensor | dict[str, Tensor]]]] = {
    "image": (InputSpec("image", (1, 12, 12)), images),
    "table": (InputSpec("table", (7,), (4, 3)), tables),
    "vector": (InputSpec("vector", (9,)), vectors),
    "text": (InputSpec("text", (), (20,)), texts),
    "pretrained": (InputSpec("text", (), (20,), TINY_BERT), texts),
    "tokens": (InputSpec("tokens", (7,)), ids),
    "sound": (InputSpec("sound", (6,)), sounds),
}


def backbone(name: str) -> Backbone:
    """Return a tiny backbone of conf/backbone, or one of the tests' own."""
    if name in OWN:
        return OWN[name]()
    config = arguments(f"backbone/{name}")
    cls = target(config)
    if name == "hf":
        return cls(path=tiny_bert())
    if name == "timm":
        return cls("test_resnet", None, 8, "default")
    if name == "resnet":
        return TinyResNet(18, None, "group", 8, "default")
    accepted = inspect.signature(cls).parameters
    return cls(**{key: TINY.get(key, value) for key, value in config.items() if key in accepted})


def kind_of(name: str) -> str:
    """Return the first kind of input that the backbone takes."""
    for kind, (spec, _) in KINDS.items():
        try:
            backbone(name).common_input({"one": spec})
        except ValueError:
            continue
        return kind
    raise AssertionError(f"no input for backbone '{name}': add its kind to KINDS in {__file__}")


OWN: dict[str, Callable[[], Backbone]] = {"tokens": Tokens, "skips": UNet, "pyramid": Pyramid}
BACKBONES = [*sorted(path.stem for path in (CONF / "backbone").glob("*.yaml")), *OWN]
assert len(BACKBONES) > 3, "the backbones are found in conf/backbone"
ONE = {"left": "one", "right": "one"}
TWO = {"left": "one", "right": "two"}
DATASETS = {"one_dataset": ONE, "two_datasets": TWO}
LIKE_OTHERS = ("hf", "lenet", "lstm", "mixed", "mlp", "resnet", "segnet", "speech", "timm", "unet")
"""Backbones whose stages and features are of the kind of another (cnn, gru, tabular, skips): slow tests try them."""
GRID = [
    *[
        pytest.param(mode, "yaml", name, datasets, marks=[pytest.mark.slow] if name in LIKE_OTHERS else [])
        for mode in MODES
        for name in BACKBONES
        for datasets in DATASETS
    ],
    *[
        (*case, *on)
        for case in CASES
        if case[1] != "yaml"
        for on in (("cnn", "one_dataset"), ("tokens", "two_datasets"), ("skips", "one_dataset"))
    ],
]
"""Every mode × every backbone × one dataset or two; the other variants on three of these."""


def factory(name: str, dataset_of: Mapping[str, str], seed: int = 0) -> BackboneFactory:
    """Return a factory of the tiny backbone `name` on examples of its kind; every head reads skips."""
    spec, make = KINDS[kind_of(name)]
    datasets = list(dict.fromkeys(dataset_of.values()))
    return BackboneFactory(
        backbone(name),
        {dataset: Inputs(make(2), dataset) for dataset in datasets},
        dict.fromkeys(datasets, spec),
        dataset_of,
        seed,
        skip_readers=dataset_of,
    )


def two_sizes() -> BackboneFactory:
    """Return a factory on two datasets, vectors [B, 9] and [B, 5], each with a linear stem of its own."""
    specs = {"one": InputSpec("vector", (9,)), "two": InputSpec("vector", (5,))}
    examples = {name: Inputs(torch.zeros(2, *spec.shape), name) for name, spec in specs.items()}
    return BackboneFactory(MLP([8, 8, 8], 0.0, "relu", "default"), examples, specs, TWO, seed=0)


def inputs(name: str, dataset: str, dtype: torch.dtype = torch.float32) -> Inputs:
    """Return a fixed batch for the backbone `name`, another one for each dataset."""
    _, make = KINDS[kind_of(name)]
    values = make(rows_of(dataset))
    if isinstance(values, Tensor):
        return Inputs(cast(values, dtype), dataset)
    return Inputs({key: cast(value, dtype) for key, value in values.items()}, dataset)


def rows_of(dataset: str) -> int:
    """Return the size of the fixed batch of a dataset."""
    return 8 if dataset == "one" else 9


def cast(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return floating-point values as `dtype`, others as they are."""
    return values.to(dtype) if values.is_floating_point() else values


class PooledHead(nn.Module):
    """Three outputs from the pooled features."""

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(spec.width, 3)

    def forward(self, features: Features) -> Tensor:
        return self.linear(pool(features))


class Model(nn.Module):
    """A sharing mode with a head per task, seeded by its name: [B, 3], or [B, 3, H, W] where there are skips."""

    def __init__(self, mode: Sharing) -> None:
        super().__init__()
        self.sharing = mode
        self.heads = nn.ModuleDict()
        for task, spec in mode.specs.items():
            with seeded(1, task):
                self.heads[task] = MapHead(spec) if spec.skips else PooledHead(spec)

    def forward(self, x: Inputs, tasks: Sequence[str], boundary: bool = False) -> tuple[dict[str, Tensor], Shared]:
        shared = self.sharing(x, tasks, boundary)
        assert list(shared.features) == list(tasks)
        return {task: self.heads[task](shared.features[task]) for task in tasks}, shared


def losses(
    model: Model, name: str, dataset_of: Mapping[str, str], tasks: Sequence[str], boundary: bool = False
) -> tuple[dict[str, Tensor], list[Shared]]:
    """Return the cross-entropy of `tasks` on the fixed batches of their datasets, and what the mode returned."""
    found: dict[str, Tensor] = {}
    shared = []
    for dataset in dict.fromkeys(dataset_of[task] for task in tasks):
        here = [task for task in tasks if dataset_of[task] == dataset]
        x = inputs(name, dataset, next(model.heads.parameters()).dtype)
        outputs, out = model(x, here, boundary)
        shared.append(out)
        for task, output in outputs.items():
            rows = rows_of(dataset)
            wanted = labels(rows).repeat_interleave(len(output) // rows) * (1 if task == "left" else 2) % 3
            if output.ndim == 4:
                wanted = wanted[:, None, None].expand(-1, *output.shape[2:])
            found[task] = nn.functional.cross_entropy(output, wanted)
    return found, shared


def extras(model: Model, shared: Sequence[Shared]) -> list[Tensor]:
    """Return the regulariser and the penalties that exist."""
    terms = [model.sharing.regularizer(), *[out.penalty for out in shared]]
    return [term for term in terms if term is not None and term.requires_grad]
