import math

import pytest
import torch

from tests.sharing._inputs import ONE, TWO, Model, factory, inputs, losses, sharing
from tests.sharing._reference import NETS, TASKS, assert_equals


@pytest.mark.parametrize("units", ["per_task", "per_channel"])
@pytest.mark.parametrize("net", NETS)
def test_equals_columns_that_are_mixed_after_each_stage(net, units):
    def reference(net, w, x):
        columns = {t: net.stem(w, f"columns.{t}.0", x) for t in TASKS}
        for index in (1, 2, 3):
            columns = {t: net.stage(w, f"columns.{t}.{index}", of) for t, of in columns.items()}
            alpha = w[f"stitches.all.{index - 1}.weight"]
            mixed = {}
            for row, task in enumerate(TASKS):
                total = 0
                for column, other in enumerate(TASKS):
                    scale = alpha[row, column]
                    if units == "per_channel" and net.kind == "map":
                        scale = scale[:, None, None]
                    total = total + scale * columns[other]
                mixed[task] = total
            columns = mixed
        return columns

    assert_equals("cross_stitch", net, reference, units=units)
    assert_equals("cross_stitch", net, reference, tasks=("third", "left"), units=units)


@pytest.mark.parametrize("units", ["per_task", "per_channel"])
@pytest.mark.parametrize("dataset_of", [ONE, TWO], ids=["one_dataset", "two_datasets"])
def test_unit_frozen_alpha_is_independent_bit_for_bit(dataset_of, units):
    stitched = sharing("cross_stitch", factory("cnn", dataset_of), units=units, self_weight=1.0)
    stitched.stitches.requires_grad_(False)
    models = [Model(stitched), Model(sharing("independent", factory("cnn", dataset_of)))]
    for model in models:
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            found, _ = losses(model, "cnn", dataset_of, ["left", "right"])
            torch.stack(list(found.values())).sum().backward()
            optimizer.step()
    trained = dict(models[0].named_parameters())
    for key, value in models[1].named_parameters():
        assert torch.equal(trained[key.replace("trunks", "columns")], value), key


def test_rows_of_the_initial_alpha_sum_to_1():
    tasks = ONE | {"third": "one", "other": "two"}
    mode = sharing("cross_stitch", factory("mlp", tasks), self_weight=0.8, partners="dataset")
    assert list(mode.stitches) == ["one"]
    for unit in mode.stitches["one"]:
        torch.testing.assert_close(unit.weight.detach(), torch.full((3, 3), 0.1) + 0.7 * torch.eye(3))


def test_every_column_runs_on_every_dataset_by_default():
    mode = sharing("cross_stitch", factory("mlp", TWO))
    mode(inputs("mlp", "two"), ["right"]).features["right"].values.sum().backward()
    assert all(parameter.grad is not None for parameter in mode.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": "per_layer"}, "sharing.units is 'per_layer'; it is one of per_task, per_channel"),
        ({"partners": "none"}, "sharing.partners is 'none'; it is one of dataset, all"),
        ({"self_weight": math.nan}, "sharing.self_weight is nan; give a finite number"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sharing("cross_stitch", factory("mlp", ONE), **settings)
