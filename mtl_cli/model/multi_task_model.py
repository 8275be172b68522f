"""The model: a sharing mode and one head per task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from mtl_cli.batch import Inputs
from mtl_cli.features import Features
from mtl_cli.heads.base import Output, TeacherForced, change_output, run_head
from mtl_cli.heads.stack_base import StackedHeads, Views, run_stacks, view_stacks
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.model.conditioning import Conditioner
from mtl_cli.model.members import mean_of_rows, member_mean
from mtl_cli.model.stacking import Part, head_parts, put_together, take_apart
from mtl_cli.seeding import seeded
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task


@dataclass(frozen=True)
class Outputs:
    """Head outputs by task, usually [B, num_outputs], floats as float32; boundary and penalty as in `Shared`.

    Of a backbone with K members, `forward` gives [B·K, num_outputs], `predict` their mean (`mtl_cli.model.members`).
    `generated` are the outputs of heads that see targets, made without one; `features` are what the heads read.
    """

    outputs: dict[str, Output]
    boundary: list[Tensor]
    penalty: Tensor | None
    generated: dict[str, Output] = field(default_factory=dict)
    features: dict[str, Features] = field(default_factory=dict)
    stacked: dict[tuple[str, ...], Tensor] = field(default_factory=dict)
    """Outputs [B, T, O] of tasks that are computed as one, by their names; `outputs` does not hold them."""
    views: Views = field(default_factory=dict)
    """With a boundary, the features [B, D] that these tasks start from, and each task's own view of them [T, B, D]."""

    def changed(self, change: Callable[[Output], Output]) -> "Outputs":
        """Return the same with the outputs that losses are computed from changed."""
        outputs = {task: change(output) for task, output in self.outputs.items()}
        stacked = {names: change(output) for names, output in self.stacked.items()}
        return replace(self, outputs=outputs, stacked=stacked)  # type: ignore[arg-type]  # each remains a tensor

    def predicted(self, task: str) -> Output:
        """Return the outputs of a task that were made without its target."""
        for names, outputs in self.stacked.items():
            if task in names:
                return outputs[:, names.index(task)]
        return self.generated[task] if task in self.generated else self.outputs[task]

    def apart(self) -> "Outputs":
        """Return the same outputs with those of stacks task by task."""
        if not self.stacked:
            return self
        rows = {task: outputs[:, row] for names, outputs in self.stacked.items() for row, task in enumerate(names)}
        return replace(self, outputs={**self.outputs, **rows}, stacked={})


class MultiTaskModel(nn.Module):
    """A sharing mode with one head per task, on a backbone of so many members (`Backbone.members`).

    Heads that are computed as one are in `stacks`, all others in `heads`. The state of the model is that of a model
    whose heads are all apart, in the order of the tasks. A `conditioner`, which is hooked into stages and heads,
    makes the features depend on a vector too.

    Raises:
        ValueError: there are several members, and a head sees the target, so that its outputs cannot be averaged.
    """

    def __init__(
        self,
        sharing: Sharing,
        heads: Mapping[str, nn.Module],
        members: int = 1,
        stacks: Sequence[StackedHeads] = (),
        conditioner: Conditioner | None = None,
    ) -> None:
        super().__init__()
        for task, head in heads.items():
            if members > 1 and isinstance(head, TeacherForced):
                raise ValueError(
                    f"tasks.{task}.head is a {type(head).__name__}, which generates its outputs; those of "
                    f"backbone.members={members} networks cannot be averaged. Use backbone.members=1."
                )
        self.sharing, self.members = sharing, members
        stacked = {task for stack in stacks for task in stack.tasks}
        self.heads = NamedModules({task: head for task, head in heads.items() if task not in stacked})
        self.stacked = nn.ModuleList(stacks)
        self.conditioner = conditioner
        self._tasks = tuple(heads)
        self._frozen: tuple[nn.Module, ...] = ()
        self._chosen: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[StackedHeads, ...]]] = {}
        if stacks:
            self.register_state_dict_post_hook(self._save_apart)
            self.register_load_state_dict_pre_hook(self._load_apart)

    def freeze(self, stages: Sequence[nn.Module]) -> None:
        """Train these stages no more, and keep them in evaluation mode."""
        self._frozen = tuple(stages)
        for stage in self._frozen:
            stage.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "MultiTaskModel":
        """Set training mode, but for frozen stages."""
        super().train(mode)
        for stage in self._frozen:
            stage.eval()
        return self

    def forward(
        self,
        inputs: Inputs,
        tasks: Sequence[str],
        boundary: bool = False,
        targets: Mapping[str, Tensor] | None = None,
    ) -> Outputs:
        """Return the outputs of `tasks`, which all belong to the dataset of `inputs`; some heads see the `targets`.

        A stack of which one task is named gives the outputs of all of its tasks.
        """
        apart, stacks = self._choose(tasks)
        shared = self.sharing(inputs, self._read_by(apart, stacks), boundary)
        outputs = {}
        for task in apart:
            head, target = self.heads[task], None if targets is None else targets.get(task)
            outputs[task] = as_floats(run_head(head, read_by(head, shared.features[task], inputs), target))
        views = view_stacks(stacks, shared.features) if boundary else {}
        stacked = run_stacks(stacks, shared.features, views)
        return Outputs(outputs, shared.boundary, shared.penalty, {}, shared.features, stacked, views)

    def predict(self, inputs: Inputs, tasks: Sequence[str], targets: Mapping[str, Tensor] | None = None) -> Outputs:
        """Return outputs that were made without targets; with `targets`, beside those that the loss takes."""
        apart, stacks = self._choose(tasks)
        features = self.sharing(inputs, self._read_by(apart, stacks)).features
        outputs, generated = {}, {}
        for task in apart:
            head = self.heads[task]
            if not isinstance(head, TeacherForced):
                outputs[task] = member_mean(as_floats(head(features[task])), self.members)
                continue
            given = read_by(head, features[task], inputs)
            generated[task] = as_floats(head.generate(given))
            if targets is not None:
                outputs[task] = as_floats(head(given, targets[task]))
        stacked = {names: mean_of_rows(each, self.members) for names, each in run_stacks(stacks, features).items()}
        return Outputs(outputs, [], None, generated, stacked=stacked)

    def _choose(self, tasks: Sequence[str]) -> tuple[tuple[str, ...], tuple[StackedHeads, ...]]:
        """Return the tasks with heads of their own, and the stacks that have one of the others; looked up once."""
        key = tuple(tasks)
        if not len(self.stacked):
            return key, ()
        if key not in self._chosen:
            stacks = tuple(stack for stack in self.stacks if not set(key).isdisjoint(stack.tasks))
            self._chosen[key] = tuple(task for task in key if task in self.heads), stacks
        return self._chosen[key]

    @staticmethod
    def _read_by(apart: tuple[str, ...], stacks: Sequence[StackedHeads]) -> tuple[str, ...]:
        """Return the tasks whose features are asked for: of a stack the first, since all of them read the same."""
        return (*apart, *(stack.tasks[0] for stack in stacks)) if stacks else apart

    def parts(self) -> list[Part]:
        """Return all parameters as they are where every head is apart, in the order of that model's `parameters`."""
        shared = [Part(*each) for each in self.sharing.named_parameters(prefix="sharing")]
        heads = head_parts(dict(self.heads.items()), self.stacks, self._tasks)
        own = () if self.conditioner is None else self.conditioner.named_parameters(prefix="conditioner")
        return [*shared, *heads, *(Part(*each) for each in own)]

    @property
    def stacks(self) -> list[StackedHeads]:
        """The heads that are computed as one."""
        return [stack for stack in self.stacked if isinstance(stack, StackedHeads)]

    @staticmethod
    def _save_apart(model: nn.Module, state: dict[str, Tensor], prefix: str, metadata: object) -> None:
        assert isinstance(model, MultiTaskModel), "this hook is on one"
        take_apart(state, prefix, model.stacks, model._tasks)

    @staticmethod
    def _load_apart(
        model: nn.Module,
        state: dict[str, Tensor],
        prefix: str,
        metadata: object,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        assert isinstance(model, MultiTaskModel), "this hook is on one"
        put_together(state, prefix, model.stacks, missing, errors)


def read_by(head: nn.Module, features: Features, inputs: Inputs) -> Features:
    """Return features as a head reads them: one that copies sees the pieces of the text."""
    if not (isinstance(head, TeacherForced) and head.copies):
        return features
    assert not isinstance(inputs.values, Tensor), "texts are inputs by name"
    return replace(features, pieces=inputs.values["ids"])


def as_floats(output: Output) -> Output:
    """Return an output with floats as float32."""
    if isinstance(output, Tensor):
        return output.float()
    return change_output(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, output)


def build_heads(tasks: Mapping[str, Task], sharing: Sharing, seed: int) -> dict[str, nn.Module]:
    """Return a head for each task, each seeded by its name, `heads/<task>`."""
    heads = {}
    for name, task in tasks.items():
        with seeded(seed, f"heads/{name}"):
            heads[name] = task.build_head(sharing.specs[name])
    return heads
