"""The last layers of a model's tasks, as weightings see them."""

from collections.abc import Mapping

from mtl_cli.batch import Batch
from mtl_cli.heads.base import LinearHead
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.readout_base import LastLayer, Readout


def last_layers(model: MultiTaskModel, tasks: Mapping[str, Task]) -> dict[str, LastLayer]:
    """Return what is known of each task's last layer, those of stacked heads excepted."""
    return {name: last_layer(model, name, task) for name, task in tasks.items() if name in model.heads}


def last_layer(model: MultiTaskModel, name: str, task: Task) -> LastLayer:
    """Return the likelihood and shape of a task's last layer, or why it cannot be read, with what fixes that."""
    head, likelihood = model.heads[name], task.likelihood()
    if likelihood is None:
        return LastLayer(
            problem=f"The loss of tasks.{name} ({type(task).__name__}) is neither a squared error nor a cross-entropy "
            "without label_smoothing, class_weights and focal_gamma. Change that, or use weighting=fixed."
        )
    if task.field.weights:
        return LastLayer(
            problem=f"The rows of tasks.{name} have weights, which this likelihood does not have. "
            f"Use ~tasks.{name}.weight_column or weighting=fixed."
        )
    layer = head.last_layer() if isinstance(head, LinearHead) else None
    if layer is None or layer.bias is None:
        return LastLayer(
            problem=f"The head of tasks.{name} is more than one linear layer on the shared features. "
            f"Use tasks.{name}.head.hidden=[] or weighting=fixed."
        )
    if model.members > 1:
        return LastLayer(
            problem=f"The last layer of tasks.{name} is that of {model.members} networks. "
            "Use backbone.members=1 or weighting=fixed."
        )
    if not model.sharing.same_features:
        return LastLayer(
            problem=f"In this sharing mode the last layer of tasks.{name} reads features that are not those of all "
            "tasks. Use sharing=hard or weighting=fixed."
        )
    return LastLayer(likelihood, (layer.out_features, layer.in_features))


def readouts(
    model: MultiTaskModel, tasks: Mapping[str, Task], batch: Batch, out: Outputs, labels: Mapping[str, int]
) -> dict[str, Readout]:
    """Return the last layers of the tasks of a pass over a batch; `labels` are those of each task in the whole step."""
    found = {}
    for name, features in out.features.items():
        if name not in batch.targets:
            continue
        task, head = tasks[name], model.heads[name]
        likelihood = task.likelihood()
        assert isinstance(head, LinearHead), "checked before training"
        layer = head.last_layer()
        assert layer is not None, "checked before training"
        assert likelihood is not None, "checked before training"
        target = batch.targets[name]
        marks = task.label_marks(target).reshape(len(target), -1)
        found[name] = Readout(
            dataset=batch.inputs.dataset,
            inputs=head.read(features),
            weight=layer.weight,
            bias=layer.bias,
            target=task.expected(target),
            marks=marks,
            likelihood=likelihood,
            scale=task.weight * marks.shape[1] / labels[name],
        )
    return found
