"""BayesAgg against posteriors and moments that are written from the paper, and against samples."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mtl_cli.errors import UserError
from mtl_cli.weightings.linalg.last_layer import Gaussian, evidence, moments
from mtl_cli.weightings.readout_base import Readout
from mtl_cli.weightings.step_base import Pass
from tests import _toy
from tests.weightings._inputs import TinyStep, gradients, make, net, task_names
from tests.weightings.test_in_training import make as make_job
from tests.weightings.test_in_training import state, take

ROWS, WIDTH = 40, 3


def readout(kind, outputs, seed=0, **changes):
    stream = torch.Generator().manual_seed(seed)
    inputs = torch.randn(ROWS, WIDTH, generator=stream)
    weight, bias = torch.randn(outputs, WIDTH, generator=stream), torch.randn(outputs, generator=stream)
    scores = inputs @ weight.T + 0.5 * torch.randn(ROWS, outputs, generator=stream)
    target = {"gaussian": scores, "bernoulli": (scores > 0).float()}.get(kind)
    if target is None:
        target = F.one_hot(scores.argmax(dim=1), outputs).float()
    marks = torch.rand(ROWS, 1 if kind == "categorical" else outputs, generator=stream) > 0.2
    target = target * marks
    arguments = {"dataset": "one", "likelihood": kind, "scale": 0.1, **changes}
    return Readout(inputs=inputs, weight=weight, bias=bias, target=target, marks=marks, **arguments)


def negative_log(of, w):
    """−log p(labels | w) of flat weights with biases, the noise of a squared error having the variance 1."""
    wb = w.reshape(of.weight.shape[0], WIDTH + 1)
    scores = of.inputs.double() @ wb[:, :-1].T + wb[:, -1]
    if of.likelihood == "gaussian":
        losses = 0.5 * (scores - of.target).square()
    elif of.likelihood == "bernoulli":
        losses = F.binary_cross_entropy_with_logits(scores, of.target.double(), reduction="none")
    else:
        losses = -(of.target * scores.log_softmax(dim=1))
    return (losses * of.marks).sum()


KINDS = [("gaussian", 1), ("gaussian", 2), ("bernoulli", 1), ("bernoulli", 3), ("categorical", 4)]


def dense(of):
    """A Gaussian's precision and linear term without blocks."""
    size = of.linear.numel()
    return torch.block_diag(*of.precision).reshape(size, size).numpy(), of.linear.flatten().numpy()


@pytest.mark.parametrize(("kind", "outputs"), KINDS)
def test_the_posterior_is_newton_s_step_with_the_curvature_of_the_loss(kind, outputs):
    of = readout(kind, outputs)
    w = torch.cat([of.weight, of.bias[:, None]], dim=1).double().flatten()
    hessian = torch.autograd.functional.hessian(lambda w: negative_log(of, w), w).numpy()  # of a linear layer: exact
    gradient = torch.autograd.functional.jacobian(lambda w: negative_log(of, w), w).numpy()
    precision, linear = dense(evidence(of).with_prior(0.7))
    wanted = hessian + np.eye(len(w)) / 0.7
    assert np.allclose(precision, wanted, rtol=1e-6, atol=1e-6)
    step = np.linalg.solve(wanted, gradient + w.numpy() / 0.7)  # from the paper: m = w − B⁻¹a
    assert np.allclose(np.linalg.solve(precision, linear), w.numpy() - step, rtol=1e-5, atol=1e-6)


def test_the_posterior_of_squared_errors_is_that_of_ridge_regression():
    of = readout("gaussian", 1)
    keep = of.marks[:, 0]
    inputs = np.c_[of.inputs[keep].double().numpy(), np.ones(int(keep.sum()))]
    found = evidence(of).with_prior(2.0)
    wanted = np.linalg.solve(
        inputs.T @ inputs + np.eye(WIDTH + 1) / 2.0, inputs.T @ of.target[keep, 0].double().numpy()
    )
    assert np.allclose(np.linalg.solve(found.precision[0], found.linear[0]), wanted)


@pytest.mark.parametrize(("kind", "outputs"), KINDS)
def test_moments_are_those_of_gradients_under_samples_of_the_weights(kind, outputs):
    of = readout(kind, outputs)
    posterior = evidence(of).with_prior(1.0)
    found = moments(of, posterior, 65536, torch.Generator().manual_seed(1))
    precision, linear = dense(posterior)
    covariance = np.linalg.inv(precision)
    samples = np.random.default_rng(0).multivariate_normal(covariance @ linear, covariance, 65536)
    w = torch.from_numpy(samples).reshape(-1, outputs, WIDTH + 1)
    scores = torch.einsum("bd,sod->sbo", of.inputs.double(), w[:, :, :-1]) + w[:, None, :, -1]
    if kind == "gaussian":
        slope = 2 * (scores - of.target) / outputs
    elif kind == "bernoulli":
        slope = (scores.sigmoid() - of.target) / outputs
    else:
        slope = scores.softmax(dim=2) - of.target
    wanted = torch.einsum("sbo,sod->sbd", slope * of.marks, w[:, :, :-1])
    spread = wanted.std(dim=0)
    assert ((found.mean - wanted.mean(dim=0)).abs() <= 0.06 * spread + 1e-6).all()
    assert ((found.variance.sqrt() - spread).abs() <= 0.06 * spread + 1e-6).all()
    assert (found.mean[~of.marks.any(dim=1)] == 0).all()


def test_what_two_parts_of_the_rows_say_adds_up():
    of = readout("categorical", 3)
    whole = evidence(of)
    parts = []
    for rows in torch.arange(ROWS).chunk(3):
        cut = {name: getattr(of, name)[rows] for name in ("inputs", "target", "marks")}
        parts.append(evidence(dataclasses.replace(of, **cut)))
    added = parts[0] + parts[1] + parts[2]
    assert torch.allclose(added.precision, whole.precision)
    assert torch.allclose(added.linear, whole.linear)


def test_the_update_weights_each_entry_by_its_precision_within_a_dataset():
    weighting = make("bayes_agg", 3, power=0.7)
    one, two = readout("gaussian", 1), readout("gaussian", 1, seed=5, scale=0.3)
    given = {"task0": one, "task1": two}
    posteriors = {task: evidence(of).with_prior(1.0) for task, of in given.items()}
    stream = torch.Generator()
    found = [moments(of, posteriors[task], 2, stream) for task, of in given.items()]
    total = torch.zeros(ROWS, WIDTH)
    weights = torch.zeros(ROWS, WIDTH)
    for of, moment in zip(given.values(), found, strict=True):
        precision = moment.variance.clamp(min=1e-8) ** -0.7 * of.marks
        total += precision * moment.mean * of.scale
        weights += precision
    wanted = torch.where(weights > 0, total / weights, 0)
    update = weighting._aggregated(TinyStep(net(3), task_names(3)), given, posteriors)
    assert torch.allclose(update, wanted, rtol=1e-4, atol=1e-7)
    assert ((~one.marks & ~two.marks).sum() > 0) == bool((wanted == 0).all(dim=1).any())


def test_the_first_epochs_train_with_the_plain_sum():
    plain, model = net(3), net(3)
    make("fixed", 3).backward(TinyStep(plain, task_names(3)))
    make("bayes_agg", 3).backward(TinyStep(model, task_names(3)))
    wanted = gradients(plain)
    assert all(torch.equal(value, wanted[name]) for name, value in gradients(model).items())


def after_an_epoch(num_passes=1, **overrides):
    """Gradients of the first step after an epoch of two steps, and the weighting."""
    model, weighting = net(3), make("bayes_agg", 3, **overrides)
    for index in range(2):
        weighting.backward(TinyStep(model, task_names(3), index=index))
    weighting.after_epoch()
    model.zero_grad()
    step = TinyStep(model, task_names(3), index=2, num_passes=num_passes)
    weighting.backward(step)
    return gradients(model), weighting, step


def test_micro_batches_add_up_to_the_large_batch_after_the_first_epochs():
    (whole, one, _), (parts, two, _) = after_an_epoch(), after_an_epoch(num_passes=3)
    for name, value in whole.items():
        assert torch.allclose(parts[name], value, rtol=1e-4, atol=1e-6), name
    assert all(torch.allclose(one.now[task].precision, two.now[task].precision) for task in task_names(3))


def test_heads_get_the_gradients_of_their_own_losses():
    found, _, step = after_an_epoch()
    plain = net(3)
    make("fixed", 3).backward(TinyStep(plain, task_names(3), index=2))
    wanted = gradients(plain)
    heads = [name for name in wanted if name.startswith("heads")]
    assert heads
    assert all(torch.allclose(found[name], wanted[name], rtol=1e-5, atol=1e-7) for name in heads)
    assert not torch.allclose(found["trunk.0.weight"], wanted["trunk.0.weight"], rtol=0.1)
    assert torch.allclose(sum(step.notes[f"share/{task}"] for task in task_names(3)), torch.ones(()))


def test_the_prior_of_a_step_is_what_the_epoch_before_said():
    _, weighting, _ = after_an_epoch()
    model = net(3)
    said = None
    for index in range(2):
        for each in TinyStep(model, task_names(3), index=index).passes():
            assert isinstance(each, Pass)
            new = evidence(each.readouts()["task1"])
            said = new if said is None else said + new
    assert torch.allclose(weighting.before["task1"].precision, said.precision)
    assert torch.allclose(weighting.before["task1"].linear, said.linear)
    assert weighting.now["task1"].precision.diagonal(dim1=1, dim2=2)[0, -1] == 12, "the rows of the present epoch"


def kinds(**changes):
    """A job on one dataset: the classes of a quadrant and, as one of two classes, a sign."""
    yes_or_no = {"_target_": "mtl_cli.tasks.binary.Binary", "class_weights": None, "focal_gamma": 0.0}
    tasks = {"quadrant": _toy.task("quadrant", missing=0.3), "sign": {**_toy.task("sign", missing=0.3), **yes_or_no}}
    return make_job("bayes_agg", overrides={"num_samples": 16}, tasks=tasks, **changes)


@pytest.mark.parametrize("stop", [3, 6, 7])
def test_a_run_resumes_bit_for_bit_after_the_first_epochs(stop):
    whole, first, second = kinds(), kinds(), kinds()
    take(whole, 8)
    assert whole.weighting.epoch == 2
    take(first, stop)
    second.load(first.state())
    take(second, 8 - stop)
    wanted = state(whole)
    assert all(torch.equal(value, wanted[name]) for name, value in state(second).items())
    for task, said in whole.weighting.before.items():
        assert torch.equal(second.weighting.before[task].precision, said.precision)


def test_what_an_epoch_said_of_an_absent_task_stays():
    weighting = make("bayes_agg", 2)
    weighting.before = {"task0": Gaussian(torch.ones(1, 1, 1), torch.ones(1, 1))}
    weighting.after_epoch()
    assert set(weighting.before) == {"task0"}


HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": [8]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": 0.1}, r"loss of tasks.sign \(Classification\) is neither .* or use weighting=fixed"),
        ({"head": HEAD}, r"head of tasks.sign is more than one linear layer .* Use tasks.sign.head.hidden=\[\]"),
    ],
)
def test_tasks_that_do_not_fit_are_refused(changes, message):
    tasks = {"quadrant": _toy.task("quadrant"), "sign": {**_toy.task("sign"), **changes}}
    with pytest.raises(UserError, match=message):
        make_job("bayes_agg", tasks=tasks)


def test_sharing_modes_whose_tasks_read_different_features_are_refused():
    with pytest.raises(UserError, match=r"In this sharing mode .* Use sharing=hard"):
        make_job("bayes_agg", "mmoe", backbone__channels=[4, 4])


def test_a_last_layer_that_is_too_large_is_refused():
    with pytest.raises(UserError, match=r"last layer of 'quadrant', 8004 × 8004 numbers for 2000 features; 4096 is"):
        make_job("bayes_agg", backbone__dense=[2000])
