import pytest
import torch
from torch import nn

from mtl_cli.heads.base import TeacherForced
from mtl_cli.model.members import member_loss, member_mean
from mtl_cli.model.multi_task_model import MultiTaskModel
from tests import _models
from tests.tasks._inputs import ROW_KINDS, make, targets, with_missing

K = 3


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_the_loss_is_the_mean_of_the_members_own_losses(kind):
    torch.manual_seed(0)
    task = make(kind)
    outputs = torch.randn(40, K, task.num_outputs)
    for target in (targets(kind), with_missing(targets(kind))):
        expected = torch.stack([task.loss(outputs[:, member], target) for member in range(K)]).mean()
        torch.testing.assert_close(member_loss(task, outputs.flatten(0, 1), target, K), expected)
        torch.testing.assert_close(member_loss(task, outputs[:, 0], target, 1), task.loss(outputs[:, 0], target))


def test_predictions_are_the_mean_over_the_members():
    outputs = torch.randn(4, K, 2)
    found = member_mean({"a": outputs.flatten(0, 1), "b": outputs[:, :, 0].flatten()}, K)
    torch.testing.assert_close(found["a"], outputs.mean(dim=1))
    torch.testing.assert_close(found["b"], outputs[:, :, 0].mean(dim=1))
    assert member_mean(outputs, 1) is outputs


def test_a_model_averages_where_it_predicts_and_only_there():
    model, _, _ = _models.build("hard")
    model.eval().members = 2
    inputs = _models.examples(_models.ONE, rows=6)["digits"]
    rows, mean = model(inputs, ["a"]).outputs["a"], model.predict(inputs, ["a"]).outputs["a"]
    assert len(rows) == 6
    torch.testing.assert_close(mean, (rows[0::2] + rows[1::2]) / 2)


class Generated(TeacherForced):
    """Sees the target."""

    def forward(self, features, target):
        return features.values

    def generate(self, features):
        return features.values


def test_heads_that_generate_their_outputs_are_refused_in_a_sentence():
    model, _, _ = _models.build("hard")
    with pytest.raises(ValueError, match=r"tasks\.a\.head is a Generated.*Use backbone\.members=1"):
        MultiTaskModel(model.sharing, {"a": Generated(), "b": nn.Linear(2, 2)}, members=2)
    MultiTaskModel(model.sharing, {"a": Generated()})
