"""Compiled training: the same figures as without, also where a weighting goes through a graph several times."""

import json
import shutil

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.schema import RESUMABLE
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.model import compiling
from mtl_cli.model.compiling import compiled_modules
from mtl_cli.runs import evaluation, run
from mtl_cli.runs.build import build
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from tests import _toy

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # torch's compiler hides its own, which as errors would end it
    pytest.mark.timeout(600),
]
METHODS = {
    "fixed": {"_target_": "mtl_cli.weightings.fixed.Fixed"},
    "pcgrad": {
        "_target_": "mtl_cli.weightings.pcgrad.PCGrad", "level": "parameters", "update_every": 1, "match_norm": "none",
    },
    "famo": {"_target_": "mtl_cli.weightings.famo.FAMO", "gamma": 0.001, "lr": 0.025},
}  # fmt: skip
CGC = {"_target_": "mtl_cli.sharing.cgc.CGC", "num_shared_experts": 1, "num_task_experts": 1, "expert_stages": 1}


def make(**changes):
    return build(resolve(_toy.config(**changes)), Trust(("tests",))).job


def no_compiler(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("\nNo working C++ compiler found\nlong story")

    monkeypatch.setattr(torch, "compile", fail)


def test_without_a_compiler_one_message_names_the_override(monkeypatch):
    no_compiler(monkeypatch)
    with pytest.raises(UserError, match=r"No working C\+\+ compiler found .* Use trainer.compile=false"):
        make(trainer__compile=True)


def test_a_compiled_run_is_evaluated_and_goes_on_where_nothing_compiles(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "compile_model", lambda model: None)
        trained = run.train(_toy.config(trainer__compile=True), tmp_path / "run", [])
    no_compiler(monkeypatch)
    found = evaluation.evaluate_checkpoint(tmp_path / "run", {"trust": ["tests"]}, [])
    assert found["metrics"] == trained["test"]
    with pytest.raises(UserError, match=r"Use trainer\.compile=false"):
        run.resume(tmp_path / "run", {"trainer.max_epochs": 3, "trust": ["tests"]}, [])
    assert "trainer.compile" in RESUMABLE
    run.resume(tmp_path / "run", {"trainer.max_epochs": 3, "trainer.compile": False, "trust": ["tests"]}, [])


def test_every_copy_of_a_stage_is_compiled_and_every_head_and_no_stem(monkeypatch):
    monkeypatch.setattr(compiling, "probe", lambda: None)
    calls = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: calls.append((self, options)))
    job = make(trainer__compile=True, sharing=CGC)
    found = list(compiled_modules(job.learner.model))
    assert [module for module, _ in calls] == found
    assert all(options == {"dynamic": True} for _, options in calls)
    heads = list(job.learner.model.heads.values())
    assert found[-2:] == heads
    own = {id(p) for module in found for p in module.parameters()}
    stages = [p for name, p in job.learner.model.named_parameters() if "gate" not in name]
    assert {id(p) for p in stages} == own


def losses_of(job, number):
    found = []
    for _ in range(number):
        step = next_step(job)
        train_step(job, step)
        job.progress.step += 1
        found.append([float(step.losses[task]) for task in step.tasks])
    return torch.tensor(found)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_without_compilation_with_the_same_dropout(method):
    changes = {"weighting": METHODS[method], "backbone__dropout": 0.3, "sharing": CGC}
    plain, compiled = (losses_of(make(**changes, trainer__compile=on), 8) for on in (False, True))
    torch.testing.assert_close(compiled, plain, rtol=2e-4, atol=2e-5)
    other = losses_of(make(**changes, seed=1), 8)
    assert (other - plain).abs().max() > 1e-2  # what another mask or start would do


@pytest.mark.slow
def test_a_compiled_run_that_is_killed_resumes_to_the_same_bytes(tmp_path):
    config = _toy.config(trainer__compile=True, save__every=2, save__keep=9, trainer__max_epochs=3)
    run.train(config, tmp_path / "whole", [])
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    torch._dynamo.reset()  # what was compiled, and for which shapes, is forgotten
    run.resume(tmp_path / "killed/checkpoints/step_00000004.pt", {"trust": ["tests"]}, [])
    whole, killed = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "killed"))
    assert whole == killed
    assert len(whole.splitlines()) > 4
    last = json.loads((tmp_path / "whole/checkpoints/last.json").read_text())
    left, right = (
        torch.load(next((tmp_path / name / "checkpoints").glob(f"step_{last['step']:08d}.pt")), weights_only=True)
        for name in ("whole", "killed")
    )
    for name, value in left["model"].items():
        assert torch.equal(value, right["model"][name]), name
