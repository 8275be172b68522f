"""DP-SGD against a loop by hand over the same draws, and as a whole run."""

import copy
import json

import pytest
import torch
from torch.nn import functional as F

from mtl_cli import cli
from mtl_cli.batch import Inputs
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.privacy.accounting import Accountant
from mtl_cli.runs import run
from mtl_cli.runs.build import build
from mtl_cli.storage import checkpoint
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step
from tests import _toy
from tests._resuming import assert_same_run, die_at

TRUST = Trust(("tests",))
SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}
CONSTANT = {"_target_": "mtl_cli.lr_schedules.Constant", "warmup_steps": 0}
PLAIN = {"optimizer": SGD, "lr_schedule": CONSTANT, "backbone__dropout": 0.0}
OPEN = {"privacy__noise": 0.0, "privacy__delta": 1e-3}


def make(**changes):
    return build(resolve(_toy.config(**changes)), TRUST).job


def step_of(job):
    step = next_step(job)
    train_step(job, step)
    job.progress.step += 1
    return step


def loss_of(model, source, row):
    """The sum of both tasks' losses of one row, by hand."""
    train = source.split("train")
    out = model(Inputs(train.images[row : row + 1], "quadrant"), ["quadrant", "sign"], False, {})
    labels = {task: field[row : row + 1] for task, field in train.fields.items()}
    return sum(
        weight * F.cross_entropy(out.outputs[task], labels[task], ignore_index=-100, reduction="sum")
        for task, weight in (("quadrant", 1.0), ("sign", 2.0))
    )


@pytest.mark.parametrize("clip_norm", [1e9, 0.5])
@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_a_run_without_noise_equals_a_loop_by_hand_on_the_same_draws(clip_norm, missing):
    tasks = {"quadrant": _toy.task("quadrant", missing=missing), "sign": _toy.task("sign", weight=2.0, missing=missing)}
    job = make(**PLAIN, **OPEN, tasks=tasks, privacy__clip_norm=clip_norm)
    source, model = _toy.Toy(1, 16, missing, False, -1, 48), copy.deepcopy(job.learner.model)
    parameters, order = list(model.parameters()), job.train["quadrant"].order
    clipped = 0
    for number in range(4):
        step_of(job)
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        for row in order.rows(number).tolist():
            gradients = torch.autograd.grad(loss_of(model, source, row), parameters)
            norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
            clipped += int(norm > clip_norm)
            for total, gradient in zip(totals, gradients, strict=True):
                total += gradient * min(1.0, float(clip_norm / norm))
        with torch.no_grad():
            for parameter, total in zip(parameters, totals, strict=True):
                parameter -= 0.1 * total / 16
    assert clipped == 0 if clip_norm == 1e9 else clipped > 20
    for mine, hand in zip(job.learner.model.parameters(), parameters, strict=True):
        torch.testing.assert_close(mine, hand, rtol=1e-4, atol=1e-6)


def test_with_no_noise_and_a_huge_clip_the_gradient_is_that_of_a_plain_step_on_the_same_draw():
    private, plain = make(**PLAIN, **OPEN, privacy__clip_norm=1e9), make(**PLAIN)
    plain.train["quadrant"].order = private.train["quadrant"].order
    for _ in range(3):
        plain.learner.model.load_state_dict(private.learner.model.state_dict())
        mine, other = step_of(private), step_of(plain)
        rows = len(private.train["quadrant"].order.rows(mine.index))
        for left, right in zip(private.gradients(), plain.gradients(), strict=True):
            torch.testing.assert_close(left * 16 / rows, right, rtol=1e-4, atol=1e-6)
        for task, loss in other.losses.items():
            torch.testing.assert_close(mine.losses[task], loss)


def test_noise_has_its_deviation_in_every_parameter_and_is_drawn_anew_each_step():
    quiet, loud = make(**PLAIN, **OPEN), make(**PLAIN, privacy__noise=3.0, privacy__delta=1e-3, privacy__clip_norm=0.5)
    quiet.weighting.clip_norm = 0.5
    noises = []
    for _ in range(2):
        quiet.learner.model.load_state_dict(loud.learner.model.state_dict())
        step_of(quiet)
        step_of(loud)
        pairs = zip(loud.gradients(), quiet.gradients(), strict=True)
        noises.append(torch.cat([(left - right).flatten() for left, right in pairs]) * 16)
    assert len(noises[0]) > 500
    for noise in noises:
        assert float(noise.std()) == pytest.approx(1.5, rel=0.1)
        assert abs(float(noise.mean())) < 0.2
    assert abs(float(torch.corrcoef(torch.stack(noises))[0, 1])) < 0.15


def test_a_step_whose_draw_is_empty_adds_noise_all_the_same():
    job = make(**PLAIN, privacy__noise=1.0, privacy__delta=1e-3)
    job.train["quadrant"].order.rows = lambda draw: torch.empty(0, dtype=torch.int64)
    before = copy.deepcopy(job.learner.model)
    step = step_of(job)
    assert step.tasks == ()
    for old, new in zip(before.parameters(), job.learner.model.parameters(), strict=True):
        assert not torch.equal(old, new)


PRIVATE = {"privacy__epsilon": 3.0, "privacy__delta": 1e-3, "data__batch_size": 4, "tasks": None}


def private(**changes):
    tasks = {field: _toy.task(field, batch_size=3) for field in ("quadrant", "sign")}  # some draws are empty
    return _toy.config(**{**PRIVATE, "tasks": tasks, "trainer__max_epochs": 1, "trainer__log_every": 1, **changes})


def test_a_private_run_says_what_it_spent_and_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    run.train(private(), tmp_path / "whole", [])
    die_at(monkeypatch, 9, lambda: run.train(private(save__every=4), tmp_path / "parts", []))
    run.resume(tmp_path / "parts", {"trust": ["tests"], "save.every": None}, [])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    told = json.loads((tmp_path / "whole" / "summary.json").read_text())["privacy"]
    accountant = Accountant(told["noise"], 3 / 48, 1e-3)
    assert (told["steps"], told["rate"], told["delta"]) == (16, 3 / 48, 1e-3)
    assert told["epsilon"] == accountant.spent(16) <= 3.0
    records = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    spent = [record["notes"]["epsilon"] for record in records if record["kind"] == "train"]
    assert spent == pytest.approx([accountant.spent(step + 1) for step in range(16)])
    with pytest.raises(UserError, match=r"Use trainer\.max_epochs=1 trainer\.max_steps=null"):
        run.resume(tmp_path / "whole", {"trust": ["tests"], "trainer.max_epochs": 2}, [])
    state = checkpoint.load(checkpoint.find(tmp_path / "whole", "best"))
    assert not state["weighting"]
    monkeypatch.setattr("mtl_cli.runs.build.make_private", None)  # an evaluation needs no accountant
    assert cli.main_eval([f"checkpoint={tmp_path / 'whole'}", "trust=[tests]", "quiet=true"]) == 0


@pytest.mark.slow
def test_workers_change_no_bit_of_a_private_run(tmp_path):
    for workers in (0, 2):
        run.train(private(data__workers=workers, privacy__epsilon=8.0), tmp_path / str(workers), [])
    assert_same_run(tmp_path / "0", tmp_path / "2")


DSELECT = {**_toy.option("sharing", "dselect_k"), "gate": "per_example"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weighting": _toy.option("weighting", "uncertainty")}, "weighting=fixed"),
        ({"weighting": _toy.option("weighting", "pcgrad")}, "weighting=fixed"),
        ({"backbone__norm": "batch"}, "BatchNorm2d mixes the rows of a batch"),
        ({"sharing": DSELECT}, "penalty on each batch"),
        ({"schedule": _toy.option("schedule", "round_robin")}, "schedule=joint"),
        ({"trainer__accumulate": 2}, "trainer.accumulate=1"),
        ({"trainer__on_nonfinite": "skip"}, "trainer.on_nonfinite=stop"),
        ({"tasks": {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign", shuffled=True)}}, "there are 2"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_privacy_is_refused_with_the_reason(changes, told):
    with pytest.raises(UserError) as refused:
        make(privacy__noise=1.0, privacy__delta=1e-3, **changes)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["privacy.epsilon=1"], "privacy.epsilon=1.0 needs privacy.delta"),
        (["privacy.delta=1e-5"], "privacy.delta=1e-05 would be ignored"),
        (["privacy.clip_norm=2"], "privacy.clip_norm=2.0 would be ignored"),
        (["privacy.epsilon=1", "privacy.noise=1", "privacy.delta=1e-5"], "Use one of them"),
        (["privacy.epsilon=0", "privacy.delta=1e-5"], "privacy.epsilon is 0"),
        (["privacy.epsilon=1", "privacy.delta=1"], "privacy.delta is 1"),
    ],
)
def test_words_that_do_not_fit_are_told(words, told, capsys):
    assert cli.main(["dry_run=true", *words]) == 2
    assert told in capsys.readouterr().err
