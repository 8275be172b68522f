import pytest
import torch

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.run_config import checked
from mtl_cli.config.targets import Trust
from mtl_cli.runs.build import build
from mtl_cli.training import arithmetic
from mtl_cli.training.arithmetic import LARGE_PRODUCT, Arithmetic, suited

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def config(precision="auto", evaluation="fp32"):
    return {"trainer": {"precision": precision, "eval_precision": evaluation}}


def test_auto_is_bf16_on_a_cpu_for_large_products_alone():
    fast = Arithmetic(CPU, bf16=True)
    assert suited(fast, config(), 4 * LARGE_PRODUCT, 4).bf16
    assert not suited(fast, config(), 4 * LARGE_PRODUCT - 1, 4).bf16
    assert not suited(fast, config(), 0, 0).bf16


def test_what_the_user_or_the_hardware_says_stands():
    assert suited(Arithmetic(CPU, bf16=True), config("bf16"), 1, 1).bf16
    assert not suited(Arithmetic(CPU, bf16=False), config(), 10**12, 1).bf16
    assert suited(Arithmetic(CUDA, bf16=True), config(), 1, 1).bf16


def test_evaluations_follow_where_they_are_to_be_as_in_training():
    fast = Arithmetic(CPU, bf16=True, eval_bf16=True)
    assert not suited(fast, config(evaluation="auto"), 1, 1).evaluation.bf16
    assert suited(fast, config(evaluation="bf16"), 1, 1).evaluation.bf16


@pytest.mark.parametrize(
    ("model", "precision"), [(["backbone=cnn"], "bf16"), (["backbone=mlp", "backbone.hidden=[110,110]"], "fp32")]
)
def test_the_default_network_is_large_and_a_small_one_is_not(model, precision, monkeypatch):
    monkeypatch.setattr(arithmetic, "has_fast_bf16", lambda device: True)
    with hydra_session() as session:
        composed = plain_config(session.compose(["task=mnist_digits", "trainer.device=cpu", *model]))
    assert build(checked(composed), Trust()).job.learner.arithmetic.precision == precision
