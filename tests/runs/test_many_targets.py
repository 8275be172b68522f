"""Hundreds of sparse targets of a table: the shipped experiment against a loop written by hand."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.run_config import checked
from mtl_cli.config.targets import Trust
from mtl_cli.runs import run
from mtl_cli.runs.build import build

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate_examples.py"
spec = importlib.util.spec_from_file_location("generate_examples", SCRIPT)
examples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(examples)
COMMON = ["experiment=assays", "quiet=true", "trainer.device=cpu", "trainer.threads=1"]


def write(folder, shuffled=False, **size):
    """Write the table into a folder; with `shuffled`, the labels of each assay belong to other rows."""
    columns, best = examples.assays(**size)
    rng = np.random.default_rng(0)
    if shuffled:
        columns = {name: rng.permutation(values) if name in best else values for name, values in columns.items()}
    (folder / "examples").mkdir()
    examples.write(folder / "examples" / "assays.csv", columns)


def config_of(overrides, number=None):
    """Return the config of the experiment, with the first `number` of its targets."""
    with hydra_session() as session:
        config = plain_config(session.compose([*COMMON, *overrides]))
    targets = config["tasks"]["assay"]["targets"]
    config["tasks"]["assay"]["targets"] = dict(list(targets.items())[:number])
    return config


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_tasks_of_a_group_are_learnt_from_few_labels_each(shuffled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, shuffled, rows=1500, number=48, missing=0.7)
    quick = ["trainer.max_epochs=15", "trainer.eval_every=15", "optimizer.lr=0.01", "backbone.dropout=0"]
    config = config_of(quick, 48)
    summary = run.train(config, tmp_path / "run", [])
    assert (summary["test"]["assay/auc"] > 0.62) == (not shuffled)
    assert len([key for key in summary["test"] if key.endswith("/auc")]) == 49


def reference_auc(job, epochs):
    """Return the mean AUC on the test rows of a network with one output per task, trained by hand on the same rows."""
    (train,), (test,) = job.train.values(), job.test.values()
    names = list(job.tasks)

    def whole(stream):
        rows = stream.rows
        inputs = rows.__getitems__(torch.arange(len(rows))).inputs["numeric"]
        return inputs, torch.stack([rows.labels(name) for name in names], dim=1)

    torch.manual_seed(0)
    (inputs, labels), (new, truth) = whole(train), whole(test)
    width = inputs.shape[1]
    model = nn.Sequential(
        nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, len(names)),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.002, weight_decay=0.01)
    steps = epochs * -(-len(inputs) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.002, total_steps=steps)
    done = 0
    while done < steps:
        for batch in torch.randperm(len(inputs)).split(128):
            known = labels[batch] >= 0
            losses = F.binary_cross_entropy_with_logits(
                model(inputs[batch]), labels[batch].clamp(min=0).float(), reduction="none"
            )
            loss = ((losses * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == steps:
                break
    scores = model.eval()(new).detach().numpy()
    found = []
    for column, own in enumerate(truth.numpy().T):
        known = own >= 0
        if len(set(own[known])) == 2:
            found.append(roc_auc_score(own[known], scores[known, column]))
    return float(np.mean(found))


@pytest.mark.slow
def test_617_sparse_targets_are_learnt_as_well_as_by_a_loop_written_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    config = config_of([])
    summary = run.train(config, tmp_path / "run", [])
    job = build(checked(config), Trust()).job
    assert len(job.tasks) == 617
    expected = reference_auc(job, config["trainer"]["max_epochs"])
    assert summary["test"]["assay/auc"] == pytest.approx(expected, abs=0.01)
    assert expected > 0.7
