import copy
import hashlib

import pytest
import yaml

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.run_config import config_hash, load_run_config
from mtl_cli.config.schema import KNOWN_KEYS, knobs
from mtl_cli.config.shipped import conf_dir, default_nodes, group_options, read_yaml
from mtl_cli.config.validation import validate
from mtl_cli.errors import UserError


def default_config():
    """What a bare `mtl-train` composes, written without Hydra."""
    config = {}
    for key, knob in knobs().items():
        section, _, name = key.rpartition(".")
        (config.setdefault(section, {}) if section else config)[name] = knob.default
    for group, option in [("backbone", "cnn"), ("sharing", "hard"), ("weighting", "fixed"), ("schedule", "joint"),
                          ("optimizer", "adamw"), ("lr_schedule", "one_cycle")]:  # fmt: skip
        config[group] = read_yaml((conf_dir() / group / f"{option}.yaml").read_text())
    config["tasks"] = {}
    for name in ("mnist_digits", "letters"):
        node = read_yaml((conf_dir() / "task" / f"{name}.yaml").read_text())["tasks"][name]
        dataset = read_yaml((conf_dir() / "dataset" / f"{name}.yaml").read_text())
        config["tasks"][name] = {"dataset": dataset, **node}
    return copy.deepcopy(config)  # conf files are read once and shared


def changed(key, value):
    config = default_config()
    *path, last = key.split(".")
    node = config
    for part in path:
        node = node[part]
    node[last] = value
    return config


def test_the_default_config_has_no_problems():
    assert validate(default_config()) == []
    assert set(default_config()) == KNOWN_KEYS


@pytest.mark.parametrize(
    ("key", "value", "found", "fix"),
    [
        ("seed", -1, "seed is -1; it is a whole number ≥ 0", "seed=0"),
        ("seed", 1.5, "seed is 1.5", "seed=0"),
        ("seed", True, "seed is true", "seed=0"),
        ("debug", 1, "debug is 1; it is true or false", "debug=false"),
        ("data.batch_size", 0, "data.batch_size is 0; it is a whole number ≥ 1", "data.batch_size=128"),
        (
            "data.source",
            "packged",
            "data.source is 'packged'; it is one of packaged, torchvision. Did you mean 'packaged'?",
            "data.source=packaged",
        ),
        (
            "trainer.device",
            "gpu",
            "trainer.device is 'gpu'; it is one of auto, cpu, cuda, mps, cuda:N",
            "trainer.device=auto",
        ),
        ("trainer.precision", None, "trainer.precision is null", "trainer.precision=auto"),
        (
            "trainer.max_epochs",
            "many",
            "trainer.max_epochs is 'many'; it is a whole number ≥ 1 or null",
            "trainer.max_epochs=6",
        ),
        ("trainer.clip_norm", 0.0, "trainer.clip_norm is 0.0; it is a number > 0 or null", "trainer.clip_norm=null"),
        ("trainer.clip_norm", float("inf"), "trainer.clip_norm is inf", "trainer.clip_norm=null"),
        ("ema.decay", 1.0, "ema.decay is 1.0; it is a number > 0 and < 1 or null", "ema.decay=null"),
        ("freeze", "stages:0", "freeze is 'stages:0'; it is one of none, trunk, stages:N", "freeze=none"),
        ("trust", "mine", "trust is 'mine'; it is a list of texts", "trust=[]"),
        ("early_stopping.patience", 0, "early_stopping.patience is 0", "early_stopping.patience=null"),
        (
            "selection.metric",
            "leters/accuracy",
            "selection.metric is 'leters/accuracy'",
            "Did you mean 'letters'? Use for example selection.metric=skill",
        ),
        ("early_stopping.metric", "skil", "early_stopping.metric is 'skil'", "Did you mean 'skill'?"),
        (
            "tasks.letters.weight",
            -0.5,
            "tasks.letters.weight is -0.5; it is a number ≥ 0",
            "tasks.letters.weight=1",
        ),
        ("tasks.letters.weight", float("nan"), "tasks.letters.weight is nan", "tasks.letters.weight=1"),
        ("tasks.letters.weight", "big", "tasks.letters.weight is 'big'; it is a number ≥ 0", "tasks.letters.weight=1"),
        ("tasks.letters", 3, "tasks.letters is 3, which is not a task", "task=letters"),
        ("tasks", {}, "No task is selected", "task=mnist_digits+letters"),
        ("tasks", "letters", "tasks is 'letters', which names no tasks", "task=mnist_digits+letters"),
        ("backbone", {}, "No backbone is chosen", "backbone=OPTION"),
        ("optimizer.lr", "abc", "optimizer.lr is 'abc'; it is a number. Use for example", "optimizer.lr=0.002"),
        ("backbone.channels", 3, "backbone.channels is 3; it is a list of numbers", "backbone.channels=[32,64]"),
        ("backbone.channels", [3, "x"], "backbone.channels is [3,x]", "backbone.channels=[32,64]"),
        (
            "optimizer.amsgrad",
            "no",
            "optimizer.amsgrad is 'no'; it is true or false",
            "optimizer.amsgrad=false",
        ),
        ("tasks.letters.head.dropout", [0.1], "tasks.letters.head.dropout is [0.1]", "tasks.letters.head.dropout=0.0"),
        ("data.root", "${data.rot}", "data.root is '${data.rot}', but the config has no key 'data.rot'", ""),
        ("data.root", "${oc.env:HOME}", "data.root is '${oc.env:HOME}', a resolver call", ""),
        ("optimizer.lr", "???", "optimizer.lr has no value (???)", "optimizer.lr=VALUE"),
        ("trainer.epochs", 3, "trainer has an unknown key 'epochs'", "Leave it out: ~trainer.epochs"),
        ("modle", 3, "unknown key 'modle'", "Leave it out: ~modle"),
    ],
)
def test_a_problem_says_what_is_wrong_and_what_fixes_it(key, value, found, fix):
    problems = validate(changed(key, value))
    assert len(problems) == 1
    assert found in problems[0]
    assert fix in problems[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer.device", "cuda:1"),
        ("freeze", "stages:2"),
        ("trainer.clip_norm", 1),
        ("selection.metric", "letters/accuracy"),
        ("schedule.epoch_length", 500),
        ("optimizer.lr", 1),
        ("backbone.channels", []),
        ("tasks.letters.weight", 0),
        ("data.root", "${data.source}/x"),
        ("trainer.max_steps", "${data.batch_size}"),
        ("backbone._target_", "my_net.Net"),
    ],
)
def test_valid_values_pass(key, value):
    assert validate(changed(key, value)) == []


def test_all_problems_are_reported_together():
    config = changed("seed", -1)
    config["trainer"]["max_epochs"] = None
    config["verbose"] = config["quiet"] = True
    config["tasks"]["letters"]["weight"] = config["tasks"]["mnist_digits"]["weight"] = 0.0
    del config["save"]["keep"]
    problems = "\n".join(validate(config))
    assert len(validate(config)) == 5
    for part in (
        "seed is -1",
        "both null",
        "verbose and quiet",
        "Every task has weight 0",
        "The config has no save.keep",
    ):
        assert part in problems


def test_a_free_value_is_compared_with_every_file_that_has_its_target(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("_target_: torch.optim.AdamW\nlr: auto\n")
    assert "optimizer.lr is 'abc'" in validate(changed("optimizer.lr", "abc"))[0]
    assert validate(changed("optimizer.lr", "abc"), [tmp_path]) == []


def test_interpolations_resolve_to_values_of_any_type():
    config = {
        "a": {"b": [1, {"c": 2.5}], "d": None},
        "x": "${a.b}",
        "y": "${a.b.1.c}",
        "z": "${a.b[0]}-${a.d}",
        "w": r"\${a.b}",
    }
    assert resolve(config) == {**config, "x": [1, {"c": 2.5}], "y": 2.5, "z": "1-None", "w": "${a.b}"}
    chained = {"a": "${b}", "b": "${c.d}", "c": {"d": "${e}", "f": 1}, "e": 7}
    assert resolve(chained)["a"] == 7


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"a": "${b}", "b": "${a}"}, "refers back to itself: b -> a -> b"),
        ({"a": {"b": "${a}"}}, "refers back to itself"),
        ({"a": "${oc.env:HOME}"}, "a resolver call"),
        ({"a": "x ${now:%Y}"}, "a resolver call"),
        ({"a": "${a.${b}}", "b": 1}, "interpolation nested or not closed"),
        ({"a": "${b"}, "interpolation nested or not closed"),
        ({"a": "${.b}", "b": 1}, "names no key of this config by its full path"),
        ({"a": {"b": ["${c.d}"]}, "c": {}}, "a.b.0 is '${c.d}', but the config has no key 'c.d'"),
    ],
)
def test_interpolations_that_cannot_be_resolved_are_reported(config, message):
    with pytest.raises(UserError) as caught:
        resolve(config)
    assert message in str(caught.value)


def test_resolving_never_calls_a_resolver():
    from omegaconf import OmegaConf

    calls = []
    OmegaConf.register_new_resolver("mtl_cli_test", lambda: calls.append(1), replace=True)
    try:
        with pytest.raises(UserError):
            resolve({"a": "${mtl_cli_test:}"})
    finally:
        OmegaConf.clear_resolver("mtl_cli_test")
    assert calls == []


def test_a_hundred_nodes_of_one_wide_table_are_read():
    columns = [f"assay_{number}" for number in range(1300)]
    config = {"tasks": {f"t{number}": {"dataset": {"drop": list(columns)}} for number in range(100)}}
    assert resolve(config) == config
    config["tasks"] |= {f"more_{number}": node for number, node in enumerate([config["tasks"]["t0"]] * 150)}
    with pytest.raises(UserError, match="one node can stand for all"):
        resolve(config)


def test_interpolations_that_multiply_one_another_are_stopped():
    config = {f"a{i}": [f"${{a{i + 1}}}"] * 10 for i in range(12)} | {"a12": 1}
    with pytest.raises(UserError, match="more than"):
        resolve(config)


def test_the_hash_ignores_the_console_and_the_order_of_keys_but_not_of_tasks():
    config = default_config()
    again = copy.deepcopy(config)
    assert len(config_hash(config)) == 16
    again["verbose"], again["debug"], again["resume"] = True, True, "x"
    again["trainer"] = dict(reversed(again["trainer"].items()))
    assert config_hash(again) == config_hash(config)
    again["tasks"] = dict(reversed(again["tasks"].items()))
    assert config_hash(again) != config_hash(config)
    assert config_hash(changed("seed", 1)) != config_hash(config)
    assert config_hash(changed("optimizer.lr", 1)) != config_hash(changed("optimizer.lr", "1"))
    assert config_hash({"seed": 0}) == hashlib.sha256(b'[{"str seed": 0}, []]').hexdigest()[:16]


def test_a_config_survives_being_written_and_read():
    config = default_config()
    again = load_run_config(yaml.safe_dump(config, sort_keys=False))
    assert again == config
    assert config_hash(again) == config_hash(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "not a mapping but list"),
        ("", "not a mapping but NoneType"),
        ("seed: 0\nhydra: {callbacks: {}}", "has a key 'hydra' that no config has"),
        ("seeed: 0", "Did you mean 'seed'?"),
        ("seed: [", "not readable"),
        ("seed: !!python/object/apply:os.system [exit]", "not readable"),
        ("seed: 2020-01-01", "of type date"),
        ("a: &a [1]\nb: &b [" + "*a, " * 400 + "1]\nseed: [" + "*b, " * 400 + "1]", "more than"),
        ("seed: &a [*a]", "more than"),
    ],
)
def test_a_run_config_is_read_as_data_only(text, message):
    with pytest.raises(UserError, match="The run's config") as caught:
        load_run_config(text)
    assert message in str(caught.value)


def test_options_are_found_by_listing_folders(tmp_path):
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "mine.yaml").write_text("_target_: my_net.Net\n")
    options = group_options([conf_dir(), tmp_path])
    assert {"cnn", "mine"} <= set(options["backbone"])
    assert {"backbone", "task", "optimizer", "dataset"} <= set(options)
    assert default_nodes(["my_net.Net"], [tmp_path]) == {"my_net.Net": [{"_target_": "my_net.Net"}]}


def test_conf_files_are_read_as_hydra_reads_them():
    text = "{a: 1e-3, b: 1.0, c: 2020-01-01, d: .5, e: 12, f: -1.5e+3, g: .inf, h: 1e, i: true}"
    expected = {
        "a": 1e-3,
        "b": 1.0,
        "c": "2020-01-01",
        "d": 0.5,
        "e": 12,
        "f": -1500.0,
        "g": float("inf"),
        "h": "1e",
        "i": True,
    }
    from omegaconf import OmegaConf

    assert read_yaml(text) == expected == OmegaConf.to_container(OmegaConf.create(text))


def test_the_runs_in_a_working_directory_are_no_defaults(tmp_path):
    for name in ("runs/2026-01-01/a", "anything/deep"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.yaml").write_text("_target_: my_net.Net\nwidth: wide\n")
    assert default_nodes(["my_net.Net"], [tmp_path]) == {}
