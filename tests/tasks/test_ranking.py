import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import ndcg_score, roc_auc_score

from mtl_cli import cli
from mtl_cli.batch import FieldSpec
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make, targets, with_missing


def test_the_loss_is_the_mean_binary_cross_entropy_of_the_relevance():
    target, outputs = with_missing(targets("ranking")), torch.randn(40, 1) * 2
    y = target.double().numpy()[:, 0]
    p, y = expit(outputs.double().numpy()[~np.isnan(y), 0]), y[~np.isnan(y)]
    expected = np.mean(-y * np.log(p) - (1 - y) * np.log1p(-p))
    assert make("ranking").loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)


def test_the_group_is_no_label():
    target = torch.tensor([[1.0, 3.0], [torch.nan, 3.0], [0.0, 4.0]])
    task = make("ranking")
    assert task.labelled_entries(target) == 2
    assert task.labelled_rows(target).tolist() == [True, False, True]


def test_metrics_by_hand():
    """Group 1 ranks its relevant row second of 2: 1/log₂3; group 2 first: 1. Of 4 pairs 2 are in order."""
    p, target = torch.tensor([0.8, 0.6, 0.7, 0.1]), torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 2.0]])
    meter = Meter(make("ranking"), torch.device("cpu"))
    meter.update(p.logit()[:, None], target, 4)
    metrics = meter.result().metrics
    assert metrics["ndcg"] == pytest.approx((1 / np.log2(3) + 1) / 2, rel=1e-6)
    assert metrics["auc"] == 0.5
    assert metrics["log_loss"] == pytest.approx(-np.mean(np.log([0.2, 0.6, 0.7, 0.9])), rel=1e-5)


def test_a_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        make("ranking", k=0)


def test_grades_are_shares_of_the_highest_one_of_the_training_labels():
    rng = np.random.default_rng(0)
    grades, groups = rng.integers(1, 6, 60).astype(np.float32), np.repeat(np.arange(12), 5).astype(np.float32)
    target = torch.from_numpy(np.stack([grades, groups], axis=1))
    logits = torch.from_numpy(rng.normal(size=(60, 1)).astype(np.float32))
    task = make("ranking", field=FieldSpec("ranking", shape=(2,), top=5.0))
    p, share = logits[:, 0].sigmoid().double().numpy(), grades / 5
    expected = -np.mean(share * np.log(p) + (1 - share) * np.log(1 - p))
    assert task.loss(logits, target).item() == pytest.approx(expected, rel=1e-5)
    meter = Meter(task, torch.device("cpu"))
    meter.update(logits, target, 60)
    metrics = meter.result().metrics
    by_group = [ndcg_score(grades[None, groups == g], p[None, groups == g], k=3) for g in range(12)]
    assert metrics["ndcg"] == pytest.approx(np.mean(by_group), rel=1e-6)
    assert metrics["auc"] == pytest.approx(roc_auc_score(grades > 2.5, p), rel=1e-6)
    assert task.decode(logits)["t_relevance"] == pytest.approx(5 * p, rel=1e-6)
    assert task.trivial_outputs(task.summarise(target)).sigmoid().item() == pytest.approx(grades.mean() / 5, rel=1e-5)


def test_a_grade_beyond_those_of_training_counts_as_the_highest_and_one_among_shares_is_told():
    graded = make("ranking", field=FieldSpec("ranking", shape=(2,), top=4.0))
    logit = torch.tensor([[0.3]])
    most, more = (graded.loss(logit, torch.tensor([[grade, 0.0]])) for grade in (4.0, 5.0))
    assert most == more
    assert graded.label_problem(torch.tensor([[5.0, 0.0]])) is None
    assert "the relevance -1" in str(graded.label_problem(torch.tensor([[-1.0, 0.0]])))
    assert "the relevance 3" in str(make("ranking").label_problem(torch.tensor([[3.0, 0.0]])))


def test_stars_from_1_to_5_are_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = Path(__file__).parent.parent / "cases" / "ranking_1_to_5.csv"
    assert cli.main_init([f"input={case}", "target=[stars+user]", "output=conf"]) == 0
    (task,) = [path.stem for path in Path("conf/task").iterdir()]
    words = [f"task={task}", "backbone=tabular", "trainer.max_epochs=2", "quiet=true", "hydra.run.dir=run"]
    assert cli.main(["--config-dir", "conf", *words]) == 0
    assert cli.main_predict(["checkpoint=run", f"input={case}", "output=out.csv", "quiet=true"]) == 0
    with Path("out.csv").open(newline="") as lines:
        assert all(0 < float(row[f"{task}_relevance"]) < 5 for row in csv.DictReader(lines))
