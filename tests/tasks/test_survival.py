import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from tests.tasks._inputs import make, targets, with_missing


def breslow(risk, time, event):
    """Return the mean over events of log Σ exp(risk of those at risk) − risk, event by event in float64."""
    losses = [logsumexp(risk[time >= time[row]]) - risk[row] for row in np.flatnonzero(event)]
    return float(np.mean(losses))


@pytest.mark.parametrize("missing", [False, True])
def test_the_loss_is_the_partial_likelihood_with_ties(missing):
    for _ in range(5):
        target, outputs = targets("survival"), torch.randn(40, 1) * 2
        target = with_missing(target) if missing else target
        rows = ~torch.isnan(target).any(dim=1).numpy()
        time, event = target.double().numpy()[rows].T
        assert len(np.unique(time)) < rows.sum()
        expected = breslow(outputs.double().numpy()[rows, 0], time, event)
        assert make("survival").loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)


def test_by_hand():
    """Times 1 (event), 2 (censored), 3 (event), all risks 0: (log 3 + log 1)/2."""
    target = torch.tensor([[3.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    assert make("survival").loss(torch.zeros(3, 1), target).item() == pytest.approx(np.log(3) / 2)


def test_the_order_of_rows_and_a_shift_of_all_risks_change_nothing():
    target, outputs, shuffled = with_missing(targets("survival")), torch.randn(40, 1), torch.randperm(40)
    loss = make("survival").loss(outputs, target).item()
    assert make("survival").loss(outputs[shuffled], target[shuffled]).item() == pytest.approx(loss, rel=1e-5)
    assert make("survival").loss(outputs + 7.0, target).item() == pytest.approx(loss, rel=1e-4)


def test_a_row_lacking_time_or_event_is_no_label():
    target = torch.tensor([[1.0, torch.nan], [torch.nan, 1.0], [2.0, 1.0], [3.0, 0.0]])
    task = make("survival")
    assert task.labelled_rows(target).tolist() == [False, False, True, True]
    assert task.labelled_entries(target) == 2


def test_without_an_event_the_loss_is_zero_and_sends_nothing():
    outputs = torch.randn(5, 1, requires_grad=True)
    loss = make("survival").loss(outputs, torch.stack([torch.rand(5), torch.zeros(5)], dim=1))
    loss.backward()
    assert loss.item() == 0.0
    assert not outputs.grad.any()


def test_its_gradient_is_that_of_the_reference():
    target, outputs = targets("survival", 12), torch.randn(12, 1, requires_grad=True)
    make("survival").loss(outputs, target).backward()
    time, event = target.double().numpy().T
    risk, step = outputs.detach().double().numpy()[:, 0], 1e-6
    for row in range(12):
        shift = step * np.eye(12)[row]
        slope = (breslow(risk + shift, time, event) - breslow(risk - shift, time, event)) / (2 * step)
        assert outputs.grad[row, 0].item() == pytest.approx(slope, abs=1e-5)


def test_its_minimum_recovers_the_coefficient_of_proportional_hazards():
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    time = torch.tensor(rng.exponential(np.exp(-0.8 * x))).float()
    target = torch.stack([time.clamp(max=1.5), (time < 1.5).float()], dim=1)
    column = torch.tensor(x).float()[:, None]
    found = minimize(lambda b: make("survival").loss(float(b[0]) * column, target).item(), [0.0], method="Nelder-Mead")
    assert found.x[0] == pytest.approx(0.8, abs=0.06)  # 3 standard errors
