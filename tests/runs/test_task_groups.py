"""Runs of one node that stands for several tasks, compared with runs of as many nodes written by hand."""

import json

import numpy as np
import pytest
import yaml

from mtl_cli import cli

HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": [], "dropout": 0.0, "activation": "relu", "init": "default"}
NAMES = ("NR_AR", "NR_ER", "p53")
OWN = {"NR_AR": {}, "NR_ER": {"weight": 2.0}, "p53": {"column": "SR-p53", "classes": ["no", "yes"], "missing": "?"}}
SMALL = [
    *("backbone=tabular", "backbone.hidden=[8]", "data.batch_size=16", "trainer.max_epochs=2", "quiet=true"),
    *("trainer.threads=1", "trainer.precision=fp32", "trainer.log_every=2"),
]


def binary(**own):
    return {
        "_target_": "mtl_cli.tasks.binary.Binary",
        "weight": 1.0,
        "label_smoothing": 0.0,
        "class_weights": None,
        "focal_gamma": 0.0,
        "head": HEAD,
        **own,
    }


def write(folder, kind, name, content):
    (folder / kind).mkdir(parents=True, exist_ok=True)
    header = "# @package _global_\n" if kind == "task" else ""
    (folder / kind / f"{name}.yaml").write_text(header + yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    """A conf folder with a group of three tasks, the same as three nodes, and the same with targets in the dataset."""
    folder = tmp_path_factory.mktemp("assays")
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(120, 3)), rng.normal(size=(120, 3))
    labels = (x + 0.3 * noise > 0).astype(int)
    lines = ["a,b,c,NR_AR,NR_ER,SR-p53"]
    for row in range(120):
        last = "?" if row % 7 == 0 else ("no", "yes")[labels[row, 2]]
        lines.append(",".join([*(f"{value:.4f}" for value in x[row]), *map(str, labels[row, :2]), last]))
    (folder / "assays.csv").write_text("\n".join(lines) + "\n")
    data = {"path": str(folder / "assays.csv"), "numeric": ["a", "b", "c"], "categorical": []}
    place = [{f"/dataset@tasks.{name}.dataset": "assays"} for name in NAMES]
    write(folder, "dataset", "assays", {"defaults": ["tabular", "_self_"], **data})
    group = {"defaults": [{"/dataset@tasks.assay.dataset": "assays"}], "tasks": {"assay": binary(targets=OWN)}}
    write(folder, "task", "assay", group)
    nodes = {name: binary(**{"target": name, **OWN[name]}) for name in NAMES}
    write(folder, "task", "by_hand", {"defaults": place, "tasks": nodes})
    targets = {name: {"kind": "binary", "column": name} for name in NAMES[:2]}
    targets["p53"] = {"kind": "binary", "column": "SR-p53", "classes": ["no", "yes"], "missing": "?"}
    write(folder, "dataset", "declared", {"defaults": ["tabular", "_self_"], **data, "targets": targets})
    place = [{f"/dataset@tasks.{name}.dataset": "declared"} for name in NAMES]
    nodes = {name: binary(target=name, weight=OWN[name].get("weight", 1.0)) for name in NAMES}
    write(folder, "task", "declared", {"defaults": place, "tasks": nodes})
    return folder


def trained(conf, folder, *overrides):
    out = folder / "run"
    assert cli.main(["--config-dir", str(conf), *SMALL, f"hydra.run.dir={out}", *overrides]) == 0
    return out


@pytest.fixture(scope="module")
def group_run(conf, tmp_path_factory):
    return trained(conf, tmp_path_factory.mktemp("group"), "task=assay", "selection.metric=assay/auc")


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def without_means(run):
    """The bytes of a run's metrics without what is of the group."""
    lines = []
    for record in records(run):
        record["metrics"] = {k: v for k, v in record.get("metrics", {}).items() if not k.startswith("assay/")}
        lines.append(json.dumps({**record, "selection": None}))
    return lines


@pytest.mark.parametrize("task", ["by_hand", "declared"])
def test_a_group_trains_as_the_nodes_that_it_stands_for(conf, group_run, tmp_path, task):
    other = trained(conf, tmp_path, f"task={task}")
    assert without_means(group_run) == without_means(other)
    assert not any(key.startswith("assay/") for record in records(other) for key in record.get("metrics", {}))


def test_the_mean_of_a_group_is_reported_and_selects(group_run):
    evaluations = [record for record in records(group_run) if record["kind"] == "eval"]
    for record in evaluations:
        for metric in ("auc", "accuracy", "loss"):
            mean = sum(record["metrics"][f"{name}/{metric}"] for name in NAMES) / 3
            assert record["metrics"][f"assay/{metric}"] == pytest.approx(mean, abs=1e-12)
    val = [record for record in evaluations if record["split"] == "val"]
    assert [record["selection"] for record in val] == [record["metrics"]["assay/auc"] for record in val]
    summary = json.loads((group_run / "summary.json").read_text())
    assert summary["selection"]["metric"] == "assay/auc"
    assert summary["selection"]["best"] == max(record["metrics"]["assay/auc"] for record in val)


def test_the_run_directory_holds_the_one_node(group_run):
    tasks = yaml.safe_load((group_run / "config.yaml").read_text())["tasks"]
    assert list(tasks) == ["assay"]
    assert tasks["assay"]["targets"] == OWN


def test_a_group_is_evaluated_resumed_and_predicted_by_the_names_of_its_tasks(conf, group_run, tmp_path):
    run = trained(conf, tmp_path, "task=assay", "trainer.max_epochs=1")
    assert cli.main([f"resume={run}", "trainer.max_epochs=2", "quiet=true"]) == 0
    ends = [[r["metrics"] for r in records(each) if r.get("split") == "test"][-1] for each in (run, group_run)]
    assert set(ends[0]) == set(ends[1])
    assert cli.main_eval([f"checkpoint={group_run}", f"tasks.p53.dataset.path={conf / 'assays.csv'}"]) == 0
    [found] = [json.loads(path.read_text()) for path in group_run.glob("evaluations/*/metrics.json")]
    assert found["metrics"] == ends[1]
    new = tmp_path / "new.csv"
    new.write_text("a,b,c\n0.5,1.0,-1.0\n")
    out = tmp_path / "out.csv"
    assert cli.main_predict([f"checkpoint={group_run}", f"input={new}", f"output={out}", "tasks=[p53]"]) == 0
    assert out.read_text().splitlines()[0] == "a,b,c,p53_prediction,p53_probability_yes"
