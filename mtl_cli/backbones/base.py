"""What a backbone is: a stem per dataset, then named stages; and the factory that sharing modes copy stages from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.backbones.dry_run_base import specs_of, unread_skips
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.config.on_hand import components_on_hand, either, target_of
from mtl_cli.errors import nearest
from mtl_cli.features import Features, Stage, Stages
from mtl_cli.layers.named import initialise
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.seeding import derive, seeded

PACKAGE = "mtl_cli.backbones"


class Backbone(ABC):
    """A recipe for stages, built with the arguments of its YAML.

    Stages are plain modules, tensor to tensor, or a `mtl_cli.features.Stage` where they read a mask, or read or leave
    skips. Stage 0 is the stem, one per dataset, which brings the datasets' inputs to one common spec; the others are
    numbered from 1 and named.
    """

    init: str = "default"
    members: int = 1
    """Networks in one, K: behind the stem each sample has K rows, one after another, [B·K, ...]. The loss is the mean
    over members (`mtl_cli.model.members`), and what they predict is averaged."""
    takes: ClassVar[tuple[str, ...]] = ()
    """Kinds of inputs (`InputSpec.kind`) that the stem reads; all others are refused, unless there are none here."""
    gives: ClassVar[tuple[str, ...]] = ()
    """Kinds of features that the last stage can give ("vector", "sequence", "map"), for advice in messages."""
    pretrained: bool = False
    """Whether the stages start with weights of an earlier training."""
    to_give: ClassVar[Mapping[str, str]] = {}
    """The override by which the last stage gives a kind, where it does not by the settings of the YAML."""

    def common_input(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return the spec that every dataset's stem produces: `common_spec`, of inputs of the kinds in `takes`.

        Raises:
            ValueError: a dataset's inputs are of a kind that this backbone cannot take, or do not fit in another way.
        """
        for dataset, spec in inputs.items():
            if self.takes and spec.kind not in self.takes:
                shape = f" {spec.shape}" if spec.shape else ""
                fitting = fitting_backbones({spec.kind for spec in inputs.values()})
                raise ValueError(
                    f"{override_of(type(self))} takes {either(self.takes)} inputs; dataset '{dataset}' has {spec.kind} "
                    f"inputs{shape}. " + (f"Use {either(fitting)}." if fitting else "No backbone on hand fits.")
                )
        return self.common_spec(inputs)

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return the spec that every dataset's stem produces for inputs of kinds that the backbone takes.

        By default it is the one that all datasets have.

        Raises:
            ValueError: the datasets differ.
        """
        (first, spec), *others = inputs.items()
        for dataset, other in others:
            if other != spec:
                raise ValueError(
                    f"{override_of(type(self))} takes datasets of equal inputs; '{first}' has {spec.kind} inputs "
                    f"{spec.shape}, '{dataset}' {other.kind} inputs {other.shape}."
                )
        return spec

    @abstractmethod
    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a module from one dataset's input values to the common input."""

    @abstractmethod
    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return a builder for each stage, in order, by name."""


def override_of(backbone: type[Backbone]) -> str:
    """Return the override that picks a backbone."""
    target = target_of(backbone)
    return f"backbone={target.split('.')[-2]}" if target.startswith(f"{PACKAGE}.") else f"backbone._target_={target}"


def fitting_backbones(takes: Collection[str], gives: Collection[str] = ()) -> list[str]:
    """Return the overrides that pick a backbone on hand for inputs of all kinds in `takes`.

    With `gives`, its last stage gives features of one of these kinds.
    """
    found = []
    for backbone in components_on_hand(Backbone, PACKAGE):
        kinds = [kind for kind in backbone.gives if kind in gives]
        if set(takes) <= set(backbone.takes) and (kinds or not gives):
            further = backbone.to_give.get(kinds[0]) if kinds else None
            found.append(" ".join(filter(None, [override_of(backbone), further])))
    return found


class Stems(nn.Module):
    """Stage 0: brings each dataset's inputs to the common spec, with a stem of its own."""

    def __init__(self, stems: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.stems = NamedModules(stems)

    def forward(self, inputs: Inputs) -> Features | Tensor:
        """Return the common input, [B, ...], of the dataset that `inputs` names."""
        return self.stems[inputs.dataset](inputs.values)


class BackboneFactory:
    """Makes fresh copies of a backbone's stages; the argument that every sharing mode gets.

    `specs[k]` is the spec of the features after stage k, from one dry run on real examples: `specs[0]` is what the stem
    gives, `specs[-1]` what the backbone gives. `names` are the stages' names; names[0] is "stem". `inputs` are the
    specs of the datasets' inputs.

    Args:
        backbone: the recipe.
        examples: a few real inputs of each dataset.
        inputs: the spec of each dataset's inputs.
        dataset_of: the dataset of each task.
        seed: the run's.
        skip_readers: tasks whose heads read skips. Skips that neither these nor a later stage read are not kept.
        num_stages: stages after the stem; all of the recipe's by default.
    """

    def __init__(self, backbone: Backbone, examples: Mapping[str, Inputs], inputs: Mapping[str, InputSpec],
                 dataset_of: Mapping[str, str], seed: int, skip_readers: Collection[str] = (),
                 num_stages: int | None = None) -> None:  # fmt: skip
        self._backbone, self._examples, self.inputs, self._seed = backbone, dict(examples), dict(inputs), seed
        self.dataset_of, self.skip_readers = dict(dataset_of), frozenset(skip_readers)
        self._common = backbone.common_input(inputs)
        self._builders = dict(islice(backbone.stages(self._common).items(), num_stages))
        self.names = ["stem", *self._builders]
        self._unread: frozenset[int] = frozenset()
        if not self.skip_readers:
            self._unread = unread_skips(self().eval(), next(iter(self._examples.values())))
        self.specs = specs_of(self.names, self().eval(), examples)

    @property
    def pretrained(self) -> bool:
        """Whether the stages come with weights that were trained before."""
        return self._backbone.pretrained

    @property
    def num_stages(self) -> int:
        """Number of stages after the stem."""
        return len(self._builders)

    @property
    def tasks(self) -> list[str]:
        """Every task of the run."""
        return list(self.dataset_of)

    def __call__(
        self, copy: str = "0", start: int = 0, stop: int | None = None, tasks: Sequence[str] | None = None
    ) -> Stages:
        """Return stages `start` … `stop` (inclusive; the last by default) of the copy named `copy`.

        Each is seeded by `backbone/<copy>/<stage>`, so that it is the same whichever stages are built with it.
        `tasks` restricts the stem to the datasets of these tasks. Stage 0 is the stem.
        """
        stop = self.num_stages if stop is None else stop
        return Stages(*[self._stage(copy, index, tasks) for index in range(start, stop + 1)], first=start)

    def alone(self, task: str) -> "BackboneFactory":
        """Return a factory that knows one task only, as if there were no other: its inputs need no common spec."""
        dataset = self.dataset_of[task]
        examples, inputs = {dataset: self._examples[dataset]}, {dataset: self.inputs[dataset]}
        readers = self.skip_readers & {task}
        return BackboneFactory(self._backbone, examples, inputs, {task: dataset}, self._seed, readers, self.num_stages)

    def up_to(self, stage: int) -> "BackboneFactory":
        """Return a factory of the same stages without those above `stage`, and without skips that only these read."""
        if stage == self.num_stages:
            return self
        return BackboneFactory(
            self._backbone, self._examples, self.inputs, self.dataset_of, self._seed, self.skip_readers, stage
        )

    def seeded(self, name: str) -> AbstractContextManager[None]:
        """Return a context in which a sharing mode builds modules of its own, seeded by the run's seed and `name`.

        Named after its task, such as "gates/letters", a module does not depend on which other tasks there are.
        """
        return seeded(self._seed, f"sharing/{name}")

    def stage_index(self, stage: int | str) -> int:
        """Return the number of a stage given by number (1 = after the first) or by name.

        Raises:
            ValueError: the backbone has no such stage.
        """
        known = ", ".join(f"{index}={name}" for index, name in enumerate(self.names) if index)
        if isinstance(stage, str) and stage in self.names[1:]:
            return self.names.index(stage)
        if isinstance(stage, int) and 1 <= stage <= self.num_stages:
            return stage
        hint = nearest(stage, self.names[1:]) if isinstance(stage, str) else ""
        raise ValueError(f"The backbone has no stage '{stage}'.{hint} Its stages: {known}.")

    def _stage(self, copy: str, index: int, tasks: Sequence[str] | None) -> nn.Module:
        stage = self._fresh_stage(copy, index, tasks)
        if isinstance(stage, Stage) and index in self._unread:
            stage.keeps_input = False
        return stage

    def _fresh_stage(self, copy: str, index: int, tasks: Sequence[str] | None) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self._seed, f"backbone/{copy}/{self.names[index]}"))
            if index > 0:
                module = self._builders[self.names[index]]()
                initialise(module, self._backbone.init)
                return module
            datasets = {self.dataset_of[task] for task in (self.tasks if tasks is None else tasks)}
            stems: dict[str, nn.Module] = {}
            for dataset in self.inputs:
                torch.default_generator.manual_seed(derive(self._seed, f"backbone/{copy}/stem/{dataset}"))
                if dataset in datasets:
                    stems[dataset] = self._backbone.stem(self.inputs[dataset], self._common)
                    initialise(stems[dataset], self._backbone.init)
            return Stems(stems)
