import subprocess
import sys

import pytest
import torch

from mtl_cli.training.dynamo import lean, leave_out

FIRST_STEP = """
import sys
from mtl_cli.runs import run
from mtl_cli.training import trainer
from tests import _toy

original = trainer.train_step

def train_step(job, step):
    update = original(job, step)
    print(sorted({"torch._dynamo", "torchvision", "torchmetrics", "torchjd", "matplotlib"} & set(sys.modules)))
    raise SystemExit
trainer.train_step = train_step
from pathlib import Path
run.train(_toy.config(), Path(sys.argv[1]), [])
"""


WHOLE_RUN = """
import sys
from pathlib import Path
from mtl_cli.runs import run
from tests import _toy
run.train(_toy.config(), Path(sys.argv[1]), [])
slow = {"torch._dynamo", "torch._inductor", "torchvision", "torchmetrics", "torchjd", "scipy"}
print(sorted(slow & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(FIRST_STEP, id="to the first step"),
        pytest.param(WHOLE_RUN, id="a whole run", marks=pytest.mark.slow),
    ],
)
def test_nothing_slow_is_imported(tmp_path, script):
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "run"], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


@pytest.mark.parametrize("method", ["AdamW", "Adam", "SGD", "RMSprop", "Adagrad", "NAdam", "Adamax"])
def test_a_lean_step_is_the_optimizers_own_bit_for_bit(method):
    leave_out()
    found = []
    for wrap in (lambda optimizer: optimizer, lean):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3)
        optimizer = wrap(getattr(torch.optim, method)(layer.parameters(), lr=0.1, weight_decay=0.1))
        for _ in range(4):
            optimizer.zero_grad()
            layer(torch.ones(2, 5)).square().sum().backward()
            optimizer.step()
        assert not any(p.grad_fn for p in layer.parameters())
        state = optimizer.state_dict()
        again = wrap(getattr(torch.optim, method)(layer.parameters(), lr=0.1))
        again.load_state_dict(state)
        again.step()
        found.append([p.detach().clone() for p in layer.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_an_optimizer_of_somebody_elses_keeps_its_step():
    class Mine(torch.optim.SGD):
        pass

    optimizer = Mine([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    step = optimizer.step
    assert lean(optimizer).step == step
