import json

import pytest
import torch

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.model.transfer import state_problem, warm_start
from mtl_cli.runs import run
from mtl_cli.runs.build import build
from tests import _toy

TRUST = Trust(("tests",))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "source"
    run.train(
        _toy.config(tasks={"quadrant": _toy.task("quadrant")}, trainer__max_epochs=10, ema__decay=0.5), directory, []
    )
    return directory


def best(directory):
    name = json.loads((directory / "checkpoints" / "best.json").read_text())["file"]
    return torch.load(directory / "checkpoints" / name, weights_only=True)


def model_of(source, **changes):
    config = _toy.config(init_from=str(source), **changes)
    return build(resolve(config), TRUST, start=run.start_weights(config)).job.learner


def test_the_trunk_and_the_head_of_the_same_name_come_from_the_averaged_weights_of_the_run(source):
    model = model_of(source).model
    averages = best(source)["ema"]["averages"]
    fresh = build(resolve(_toy.config()), TRUST).job.learner.model.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh[name] if name.startswith("heads.sign") else averages[name]), name


def test_a_head_with_other_classes_starts_afresh(source):
    tasks = {"quadrant": {**_toy.task("sign")}}  # the old name on a field with two classes
    model = model_of(source, tasks=tasks).model
    assert model.heads["quadrant"].layers[0].out_features == 2


def test_what_the_run_lacks_below_the_heads_is_said_to_start_afresh(caplog):
    model = build(resolve(_toy.config()), TRUST).job.learner.model
    cut = {name: value for name, value in model.state_dict().items() if not name.startswith("sharing.trunk.1.")}
    warm_start(model, cut, "there")
    assert "init_from=there has no trunk.1." in caplog.text
    caplog.clear()
    warm_start(model, model.state_dict(), "there")
    assert "start afresh" not in caplog.text


def test_fewer_adapters_of_an_older_run_are_refused_for_their_numbers_name_other_weights():
    sharing = {"_target_": "mtl_cli.sharing.adapters.Adapters", "rank": 2, "alpha": 4.0, "freeze_trunk": False}
    model = build(resolve(_toy.config(sharing=sharing)), TRUST).job.learner.model
    own = model.state_dict()
    adapters = sorted(name for name in own if name.startswith("sharing.adapters.quadrant."))
    cut = {name: value for name, value in own.items() if name not in adapters[-2:]}
    with pytest.raises(UserError, match=r"init_from=there does not fit: it lacks adapters, as .* before 0\.2\.0"):
        warm_start(model, cut, "there")
    warm_start(model, {name: value for name, value in own.items() if name not in adapters}, "there")
    assert state_problem(model, cut).endswith("attention had none. Train that run again.")
    other = {name.replace("trunk.1", "trunk.2"): value for name, value in cut.items()}
    assert state_problem(model, other) is state_problem(model, own) is None


def test_another_width_is_refused_and_named(source):
    with pytest.raises(UserError, match=r"init_from=.*sharing.trunk.1.*has shape \(4, 1, 3, 3\) there"):
        model_of(source, backbone__channels=[8])


def test_a_mode_without_a_common_weight_is_refused(source):
    with pytest.raises(UserError, match="Use the sharing= and backbone= of that run"):
        model_of(source, sharing={"_target_": "mtl_cli.sharing.independent.Independent"})


@pytest.mark.parametrize(("what", "frozen"), [("trunk", {"1", "2"}), ("stages:1", {"1"}), ("none", set())])
def test_frozen_stages_do_not_change_and_the_others_do(source, tmp_path, what, frozen):
    run.train(_toy.config(init_from=str(source), freeze=what, backbone__norm="none"), tmp_path / "run", [])
    start, end = model_of(source).model.state_dict(), best(tmp_path / "run")["model"]
    for name, value in end.items():
        stage = name.split(".")[2] if name.startswith("sharing.trunk") else None
        assert torch.equal(value, start[name]) == (stage in frozen), name


def test_a_frozen_trunk_is_not_shared_and_keeps_its_batch_norm_statistics(tmp_path):
    run.train(_toy.config(backbone__norm="batch"), tmp_path / "source", [])
    config = _toy.config(backbone__norm="batch", init_from=str(tmp_path / "source"), freeze="trunk")
    assert run.train(config, tmp_path / "run", [])["parameters"]["shared"] == 0
    one, other = best(tmp_path / "source")["model"], best(tmp_path / "run")["model"]
    statistics = [name for name in one if "running" in name]
    assert statistics
    assert all(torch.equal(one[name], other[name]) for name in statistics)


def test_more_stages_than_there_are_cannot_be_frozen(source):
    with pytest.raises(UserError, match="freeze=stages:2"):
        model_of(source, freeze="stages:9")


def test_transfer_to_other_data_starts_far_below_a_fresh_model(source):
    changes = {"tasks": {"quadrant": _toy.task("quadrant", seed=3)}, "trainer__max_epochs": 1}
    scores = {}
    for name, start in (("transfer", str(source)), ("fresh", None)):
        config = _toy.config(init_from=start, **changes)
        scores[name] = run.train(config, source.parent / name, [])["test"]["quadrant/loss"]
    assert scores["transfer"] < 0.5 * scores["fresh"]


def test_a_missing_run_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="No checkpoint at"):
        run.train(_toy.config(init_from=str(tmp_path / "nothing")), tmp_path / "run", [])
    assert not (tmp_path / "run").exists()
