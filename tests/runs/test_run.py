import json
import shutil

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.runs import evaluation, run
from mtl_cli.runs.build import build
from mtl_cli.training import trainer
from tests import _toy
from tests._resuming import assert_same, assert_same_run, final, train_until
from tests._thinned import thinned

CASES = {
    "ema, clipping, dropout": {"ema__decay": 0.9, "trainer__clip_norm": 0.5},
    "two datasets": {"tasks": {"quadrant": _toy.task("quadrant", size=40), "sign": _toy.task("sign", seed=2)}},
    "accumulation, missing labels": {
        "tasks": {
            "quadrant": _toy.task("quadrant", missing=0.6, batch_size=4),
            "sign": _toy.task("sign", batch_size=8),
        },
        "trainer__accumulate": 2,
    },
    "batch norm": {"backbone__norm": "batch"},
    "independent": {"sharing": {"_target_": "mtl_cli.sharing.independent.Independent"}},
    "workers": {"data__workers": 2},
}


@pytest.mark.parametrize("case", thinned(CASES, ["accumulation, missing labels", "workers"]), ids=str)
def test_a_killed_run_resumes_to_the_same_bytes(case, tmp_path, monkeypatch):
    changes = {"save__every": 2, "trainer__log_every": 3, "trainer__max_epochs": 3, **CASES[case]}
    run.train(_toy.config(**changes), tmp_path / "whole", [])
    train_until(monkeypatch, tmp_path / "parts", 5, **changes)  # saved after 4; the record of step 5 is not yet due
    train_until(monkeypatch, tmp_path / "parts", 7, resume=True)  # records after step 6 are cut and written again
    run.resume(tmp_path / "parts", {"trust": ["tests"]}, [])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_killed_before_its_first_checkpoint_says_so(tmp_path, monkeypatch):
    train_until(monkeypatch, tmp_path / "run", 1)
    with pytest.raises(UserError, match="had not saved one"):
        run.resume(tmp_path / "run", {}, [])


def test_resuming_a_completed_run_gives_the_same_summary_and_more_epochs_go_on(tmp_path):
    config = _toy.config(lr_schedule={"_target_": "mtl_cli.lr_schedules.Constant", "warmup_steps": 0})
    done = run.train(config, tmp_path / "run", [])
    again = run.resume(tmp_path / "run", {"trust": ["tests"]}, [])
    assert again["test"] == done["test"]
    longer = run.resume(tmp_path / "run", {"trainer.max_epochs": 4, "trust": ["tests"]}, [])
    assert longer["steps"] == 12
    config["trainer"]["max_epochs"] = 4
    run.train(config, tmp_path / "whole", [])
    assert_same(final(tmp_path / "run")["model"], final(tmp_path / "whole")["model"], "model")


def test_a_directory_with_a_run_is_never_overwritten(tmp_path):
    run.train(_toy.config(), tmp_path / "run", [])
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"holds a run already.*resume="):
        run.train(_toy.config(seed=1), tmp_path / "run", [])
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_run_that_cannot_start_leaves_no_directory(tmp_path):
    for changes in (
        {"tasks": {"quadrant": _toy.task("nothing")}},
        {"backbone__channels": [4, 4, 4, 4, 4]},
        {"selection__metric": "quadrant/accuracyy"},
        {"trainer__device": "cuda:7"},
    ):
        with pytest.raises(UserError):
            run.train(_toy.config(**changes), tmp_path / "run", [])
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("figures")
def test_evaluation_agrees_with_the_runs_own_test_figures_to_the_last_digit(tmp_path):
    summary = run.train(_toy.config(ema__decay=0.5), tmp_path / "run", [])
    record = evaluation.evaluate_checkpoint(tmp_path / "run", {"trust": ["tests"]}, [])
    assert record["metrics"] == summary["test"]
    val = evaluation.evaluate_checkpoint(tmp_path / "run", {"split": "val", "trust": ["tests"]}, [])
    assert val["metrics"] == summary["best_val"]
    files = sorted(path.name for path in (tmp_path / "run" / "evaluations").rglob("*.*"))
    assert files.count("metrics.json") == 2
    assert files.count("confusion_quadrant.png") == 2


def test_one_file_is_enough_to_evaluate(tmp_path):
    summary = run.train(_toy.config(), tmp_path / "run", [])
    name = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())["file"]
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "run" / "checkpoints" / name, tmp_path / "elsewhere" / "model.pt")
    shutil.rmtree(tmp_path / "run")
    record = evaluation.evaluate_checkpoint(tmp_path / "elsewhere" / "model.pt", {"trust": ["tests"]}, [])
    assert record["metrics"] == summary["test"]


def test_evaluation_on_other_data_uses_that_data(tmp_path):
    summary = run.train(_toy.config(), tmp_path / "run", [])
    overrides = {"tasks.quadrant.dataset.seed": 7, "tasks.sign.dataset.seed": 7, "trust": ["tests"]}
    record = evaluation.evaluate_checkpoint(tmp_path / "run", overrides, [])
    assert record["metrics"] != summary["test"]


def test_a_checkpoint_with_classes_of_strangers_runs_none_of_them_without_trust(tmp_path):
    run.train(_toy.config(), tmp_path / "run", [])
    with pytest.raises(UserError, match=r"trust=\[tests\]"):
        evaluation.evaluate_checkpoint(tmp_path / "run", {}, [])
    with pytest.raises(UserError, match=r"trust=\[tests\]"):
        run.resume(tmp_path / "run", {}, [])


def test_a_changed_config_is_refused_on_resume(tmp_path, monkeypatch):
    train_until(monkeypatch, tmp_path / "run", 4)
    text = (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(text.replace("lr: 0.01", "lr: 0.02"))
    with pytest.raises(UserError, match="not the config of the checkpoint"):
        run.resume(tmp_path / "run", {"trust": ["tests"]}, [])


def test_a_second_process_on_one_run_directory_is_refused(tmp_path, monkeypatch):
    from mtl_cli.storage.directory import RunDirectory

    train_until(monkeypatch, tmp_path / "run", 4)
    length = (tmp_path / "run" / "metrics.jsonl").stat().st_size
    first = RunDirectory.reopen(tmp_path / "run", _toy.config(), "hash", length)
    with pytest.raises(UserError, match="Another process"):
        run.resume(tmp_path / "run", {"trust": ["tests"]}, [])
    first.close()
    assert run.resume(tmp_path / "run", {"trust": ["tests"]}, [])["steps"] == 6


def test_the_config_keeps_its_interpolations(tmp_path):
    config = _toy.config()
    config["tasks"]["sign"]["dataset"]["batch_size"] = "${data.batch_size}"
    summary = run.train(config, tmp_path / "run", [])
    assert "batch_size: ${data.batch_size}" in (tmp_path / "run" / "config.yaml").read_text()
    assert summary["steps"] == 6


def test_the_summary_counts_parameters_and_what_independent_models_would_have(tmp_path):
    parameters = run.train(_toy.config(), tmp_path / "run", [])["parameters"]
    trunk = (4 * 9 + 4) + (4 * 36 * 16 + 16)
    heads = {"quadrant": 16 * 4 + 4, "sign": 16 * 2 + 2}
    assert parameters == {
        "total": trunk + sum(heads.values()),
        "trained": trunk + sum(heads.values()),
        "shared": trunk,
        "specific": heads,
        "independent": 2 * trunk + sum(heads.values()),
    }


def test_out_of_memory_suggests_the_overrides_that_help(tmp_path, monkeypatch):
    def train_step(job, step):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "train_step", train_step)
    with pytest.raises(RunFailure, match=r"Use data\.batch_size=8 trainer\.accumulate=6, which take the same step"):
        run.train(_toy.config(trainer__accumulate=3), tmp_path / "run", [])
    assert json.loads((tmp_path / "run" / "status.json").read_text())["status"] == "failed"


def test_independent_networks_of_different_images_are_what_each_task_alone_would_be(tmp_path):
    tasks = {"quadrant": _toy.task("quadrant"), "letters": node("letters")}
    mode = {"_target_": "mtl_cli.sharing.independent.Independent"}
    both = build(resolve(_toy.config(tasks=tasks, sharing=mode)), Trust(("tests",))).job.learner.model
    alone = build(resolve(_toy.config(tasks={"quadrant": tasks["quadrant"]}, sharing=mode)), Trust(("tests",)))
    own = dict(both.named_parameters())
    for name, value in alone.job.learner.model.named_parameters():
        assert torch.equal(own[name], value), name


def node(task):
    """Return the config node of a shipped image task."""
    dataset = {"_target_": f"mtl_cli.datasets.{task}.Letters", "source": "packaged", "root": None, "batch_size": 128}
    return {**_toy.task("label"), "dataset": dataset}
