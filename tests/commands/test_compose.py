import re

import pytest
import yaml

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.commands.composed_run import compose, compose_run, hydra_value, short_choice
from mtl_cli.config.run_config import config_hash, load_run_config
from mtl_cli.config.schema import KNOWN_KEYS, knobs
from mtl_cli.config.shipped import conf_dir
from mtl_cli.errors import UserError

TASK = """\
# @package _global_
defaults:
  - /dataset@tasks.{name}.dataset: mnist_digits
tasks:
  {name}: {{_target_: mtl_cli.tasks.classification.Classification, target: label, weight: 1.0}}
"""


def composed(*overrides, config_dir=None):
    with hydra_session(config_dir) as session:
        return compose_run(session, overrides).config


def problems(*overrides, config_dir=None):
    with hydra_session(config_dir) as session, pytest.raises(UserError) as caught:
        compose_run(session, overrides)
    return caught.value.problems


@pytest.fixture
def my_conf(tmp_path):
    """A user's conf folder with two tasks of the same name, a backbone and an experiment."""
    folder = tmp_path / "my_conf"
    for name in ("task", "backbone", "experiment"):
        (folder / name).mkdir(parents=True)
    (folder / "task" / "my_task.yaml").write_text(TASK.format(name="my_task"))
    (folder / "task" / "twin.yaml").write_text(TASK.format(name="my_task"))
    (folder / "task" / "letters+mnist_digits.yaml").write_text(TASK.format(name="by_hand"))
    (folder / "backbone" / "mine.yaml").write_text("_target_: my_net.Net\nwidth: 16\n")
    (folder / "experiment" / "small.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /task: my_task+letters\n  - override /backbone: mine\n"
        "trainer: {max_epochs: 2}\ntasks: {letters: {weight: 0.25}}\n"
    )
    return folder


def test_a_bare_command_composes_the_default_pair():
    config = composed()
    assert list(config["tasks"]) == ["mnist_digits", "letters"]
    assert config["backbone"]["_target_"] == "mtl_cli.backbones.cnn.CNN"
    assert {key: config[key] for key in ("seed", "trust", "freeze")} == {"seed": 0, "trust": [], "freeze": "none"}
    assert config["trainer"]["max_epochs"] == 6
    assert "hydra" not in config


def test_the_config_has_every_knob_at_its_default():
    config = composed()
    for key, knob in knobs().items():
        node = config
        for part in key.split("."):
            node = node[part]
        assert node == knob.default, key


@pytest.mark.parametrize("text", ["letters", "letters+mnist_digits", "cifar10+letters+mnist_digits+fashion_mnist"])
def test_any_tasks_join_in_their_order(text):
    names = text.split("+")
    overrides = [f"task={text}", *(f"tasks.{name}.weight=0.{i + 1}" for i, name in enumerate(names))]
    tasks = composed(*overrides)["tasks"]
    assert list(tasks) == names
    assert [tasks[name]["weight"] for name in names] == [(i + 1) / 10 for i in range(len(names))]
    assert all(tasks[name]["dataset"]["_target_"].startswith("mtl_cli.datasets.") for name in names)


def test_a_task_can_be_dropped_and_its_dataset_replaced():
    config = composed("~tasks.letters", "dataset@tasks.mnist_digits.dataset=fashion_mnist")
    assert list(config["tasks"]) == ["mnist_digits"]
    assert config["tasks"]["mnist_digits"]["dataset"]["_target_"] == "mtl_cli.datasets.fashion_mnist.FashionMnist"


def test_node_interpolations_stay_and_resolver_calls_become_values(monkeypatch):
    monkeypatch.setenv("MTL_ROOT", "/data/${x}")
    config = composed(
        "data.root=${oc.env:MTL_ROOT}", "init_from=${data.root}", "backbone.channels=${oc.decode:'[8,16]'}"
    )
    assert config["data"]["root"] == r"/data/\${x}"  # what a resolver gave is not an interpolation
    assert config["init_from"] == "${data.root}"
    assert config["backbone"]["channels"] == [8, 16]
    assert config["tasks"]["letters"]["dataset"]["source"] == "${data.source}"
    assert load_run_config(yaml.safe_dump(config)) == config


def test_a_resolver_that_fails_names_the_key():
    [problem] = problems("data.root=${oc.env:MTL_NO_SUCH_VARIABLE}")
    assert problem.startswith("data.root is '${oc.env:MTL_NO_SUCH_VARIABLE}', which has no value")
    assert "Set data.root=VALUE" in problem


def test_an_experiment_overrides_tasks_and_sets_values(my_conf):
    config = composed("experiment=small", "trainer.log_every=7", config_dir=my_conf)
    assert list(config["tasks"]) == ["my_task", "letters"]
    assert config["tasks"]["letters"]["weight"] == 0.25
    assert config["backbone"] == {"_target_": "my_net.Net", "width": 16}
    assert (config["trainer"]["max_epochs"], config["trainer"]["log_every"]) == (2, 7)


def test_a_command_line_wins_over_an_experiment(my_conf):
    config = composed("experiment=small", "tasks.letters.weight=4", "backbone=mlp", config_dir=my_conf)
    assert config["tasks"]["letters"]["weight"] == 4
    assert config["backbone"]["_target_"].endswith("MLP")


@pytest.mark.parametrize("how", ["config_dir", "searchpath"])
def test_a_folder_of_the_user_adds_tasks_and_options(my_conf, how):
    words = ["task=my_task+letters", "backbone=mine", "backbone.width=3"]
    if how == "searchpath":
        config = composed(*words, f"hydra.searchpath=[file://{my_conf}]")
    else:
        config = composed(*words, config_dir=my_conf)
    assert list(config["tasks"]) == ["my_task", "letters"]
    assert config["backbone"] == {"_target_": "my_net.Net", "width": 3}


def test_a_joined_file_written_by_hand_wins(my_conf):
    assert list(composed("task=letters+mnist_digits", config_dir=my_conf)["tasks"]) == ["by_hand"]
    assert list(composed("task=letters+mnist_digits")["tasks"]) == ["letters", "mnist_digits"]


def test_the_choice_of_tasks_names_the_run_directory():
    with hydra_session() as session:
        directory = compose_run(session, ["task=letters+cifar10"]).run_dir
    assert re.fullmatch(r"runs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}_letters\+cifar10", str(directory))
    assert not directory.exists()


@pytest.mark.slow
def test_a_long_choice_of_tasks_is_cut_in_the_names_of_directories(tmp_path):
    names = [f"my_letters_{number}" for number in range(60)]
    (tmp_path / "task").mkdir()
    for name in names:
        (tmp_path / "task" / f"{name}.yaml").write_text(TASK.format(name=name))
    choice = "task=" + "+".join(names)
    with hydra_session(tmp_path) as session:
        job = compose_run(session, [choice])
        name = job.run_dir.name.partition("_")[2]
        other = compose_run(session, [choice.replace("+my_letters_58", "")]).run_dir
        swept = compose_run(session, [choice, "hydra.sweep.dir=out/${hydra:runtime.choices.task}"])
        assert hydra_value(swept.composed, "hydra.sweep.dir") == f"out/{name}"
        given = compose_run(session, [choice, "hydra.run.dir=out/" + "+".join(names[:15])]).run_dir
    assert len(job.config["tasks"]) == 60
    assert re.fullmatch(r"(my_letters_\d\+){5,6}5[45]_more_[0-9a-f]{8}", name)
    assert name != other.name.partition("_")[2]
    assert str(given) == "out/" + "+".join(names[:15]), "what was given stays as it is"


@pytest.mark.parametrize("choice", ["a+b", "x" * 100, "ab+" * 60 + "c", "é+" * 60 + "c", "x" * 300])
def test_a_choice_in_a_name_is_short_and_tells_choices_apart(choice):
    short = short_choice(choice)
    assert len(short.encode()) <= 100
    assert (short == choice) is (len(choice.encode()) <= 100)
    assert short_choice(choice + "+d") != short


def test_hydra_makes_nothing_and_is_gone_afterwards(tmp_path, monkeypatch):
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    monkeypatch.chdir(tmp_path)
    composed("seed=1")
    problems("seed=x")
    assert list(tmp_path.iterdir()) == []
    assert not GlobalHydra.instance().is_initialized()
    assert HydraConfig.instance().cfg is None


def test_equal_overrides_give_equal_configs_and_hashes():
    assert config_hash(composed("seed=1")) == config_hash(composed("seed=1")) != config_hash(composed("seed=2"))


@pytest.mark.parametrize(
    ("override", "found", "fix"),
    [
        (
            "backbone=cn",
            "Unknown backbone option 'cn' in backbone=cn. Did you mean 'cnn'? Known: cnn, ",
            "backbone=cnn.",
        ),
        (
            "task=mnist_digits+leters",
            "Unknown task 'leters' in task=mnist_digits+leters. Did you mean 'letters'?",
            "Use task=mnist_digits+letters.",
        ),
        (
            "task=zzz",
            "Unknown task 'zzz' in task=zzz. Known: cifar10, cifar100, cifar100_group, fashion_mnist, letters",
            "",
        ),
        ("task=", "Unknown task '' in task=", ""),
        ("task=letters+letters", "two tasks named alike: 'letters'", "Use task=letters."),
        ("task=[letters,mnist_digits]", "is a list of options", "task=letters+mnist_digits"),
        ("backbone=[cnn,mlp]", "is a list of options", "-m backbone=A,B"),
        ("task=null", "task=null chooses no task", "task=A+B"),
        ("experiment=foo", "Unknown experiment option 'foo'", ""),
        ("hydra/launcher=jobli", "Unknown hydra/launcher option 'jobli'", "hydra/launcher=joblib"),
        (
            "dataset@tasks.letters.dataset=mnist_digit",
            "Unknown dataset option 'mnist_digit'",
            "dataset@tasks.letters.dataset=mnist_digits",
        ),
        ("trainer.max_epoch=5", "Unknown key 'trainer.max_epoch' in trainer.max_epoch=5", "Use trainer.max_epochs=5."),
        ("tasks.leters.weight=2", "Unknown key 'tasks.leters.weight'", "Use tasks.letters.weight=2."),
        ("tasks.letters.wieght=2", "Unknown key 'tasks.letters.wieght'", "Use tasks.letters.weight=2."),
        ("tasks.letters.column=y", "The task reads its label without it", "Add it: +tasks.letters.column=y."),
        ("trainr.max_epochs=5", "Unknown key 'trainr.max_epochs'", "Use trainer.max_epochs=5."),
        ("lr=0.1", "Unknown key 'lr'", "Use optimizer.lr=0.1."),
        ("max_epochs=3", "Unknown key 'max_epochs'", "Use trainer.max_epochs=3."),
        ("hydra.run.dri=x", "Unknown key 'hydra.run.dri'", "Use hydra.run.dir=x."),
        ("~tasks.leters", "Unknown key 'tasks.leters'", "Use ~tasks.letters."),
        ("seed=abc", "seed is 'abc'; it is a whole number", "Use for example seed=0."),
        ("data=5", "data=5 gives one value to a section, whose keys are source, root", "data.KEY=VALUE"),
        ("tasks=letters", "gives one value to a section", "Choose tasks by task=letters."),
        ("+seed=1", "+seed=1 adds a key that the config has", "Leave out the +: seed=1."),
        ("+sede=1", "unknown key 'sede'. Did you mean 'seed'?", "Leave it out: ~sede."),
        ("letters", "'letters' sets nothing: overrides are key=value", "Did you mean task=letters?"),
        ("data.root=a=b", "The value in data.root=a=b cannot be read", "\"data.root='a=b'\""),
        ("=3", "'=3' has no valid key", ""),
        ("seed=0,1", "seed=0,1 lists several values. Add -m", "\"seed='0,1'\""),
        (
            "hydra.searchpath=[file:///no/such]",
            "hydra.searchpath names /no/such, which is not a folder",
            "Leave it out",
        ),
        ("hydra/sweeper=x", "Unknown hydra/sweeper option 'x'", "Known: basic"),
    ],
)
def test_a_wrong_override_is_explained(override, found, fix):
    [problem] = problems(override)
    assert found in problem
    assert fix in problem


def test_every_problem_is_reported_in_the_order_of_the_overrides():
    found = problems(
        *("task=mnist_digits+leters", "tasks.leters.weight=3", "backbone=cn", "trainer.max_epoch=3", "seed=abc"),
        *("foo=[1", "optimizer.lr=abc", "tasks.letters.weight=-1", "data.batch_size=0"),
    )
    parts = ["'leters' in task=", "'tasks.leters.weight'", "'cn'", "'trainer.max_epoch'", "seed is 'abc'", "foo=[1"]
    assert len(found) == 9
    for part, problem in zip(parts, found, strict=False):
        assert part in problem
    assert sorted(problem.split(" is ")[0] for problem in found[6:]) == [
        "data.batch_size",
        "optimizer.lr",
        "tasks.letters.weight",
    ]


def test_what_an_unknown_option_would_have_set_is_no_second_problem():
    assert len(problems("backbone=zzz", "backbone.width=3")) == 1
    assert len(problems("backbone=ml", "backbone.hidden=[3]")) == 1


def test_two_files_that_define_one_task_are_named(my_conf):
    (my_conf / "task" / "free_twin.yaml").write_text("# @package _global_\ntasks: {my_task: {weight: 2.0}}\n")
    for overrides in (["task=my_task+twin"], ["task=my_task+free_twin"], ["task=my_task+twin+letters", "seed=abc"]):
        found = problems(*overrides, config_dir=my_conf)
        assert any(
            re.search("two tasks named alike: 'my_task' is defined by my_task and by (free_)?twin", problem)
            for problem in found
        ), found


def test_errors_inside_an_experiment_are_explained(my_conf):
    (my_conf / "experiment" / "bad.yaml").write_text("# @package _global_\ndefaults:\n  - override /backbone: cn\n")
    (my_conf / "experiment" / "worse.yaml").write_text("# @package _global_\ntrainer: {max_epoch: 3}\n")
    (my_conf / "experiment" / "broken.yaml").write_text("a: [1\n")
    (my_conf / "experiment" / "resumes.yaml").write_text("# @package _global_\nresume: runs/x\n")
    assert "Unknown backbone option 'cn'" in problems("experiment=bad", config_dir=my_conf)[0]
    assert "max_epoch" in problems("experiment=worse", config_dir=my_conf)[0]
    assert "broken.yaml" in problems("experiment=broken", config_dir=my_conf)[0]
    assert "Give it on the command line only" in problems("experiment=resumes", config_dir=my_conf)[0]


def test_a_conf_file_that_is_no_yaml_is_named(my_conf):
    (my_conf / "backbone" / "mine.yaml").write_text("_target_: my_net.Net\n - width: 3\n")
    for overrides in (["backbone=mine"], ["backbone=mine", "seed=abc"]):
        [problem, *others] = problems(*overrides, config_dir=my_conf)
        assert problem.startswith(f"{my_conf}/backbone/mine.yaml is not valid YAML")
        assert "line 2" in problem
        assert len(others) == len(overrides) - 1


def test_deleting_and_nulling_is_possible():
    assert "weight_decay" not in composed("~optimizer.weight_decay")["optimizer"]
    assert composed("resume=null")["resume"] is None
    assert "tasks.letters.weight" in problems("~tasks.letters.weight=5")[0]


def test_the_primary_config_and_the_schema_agree():
    with hydra_session() as session:
        config, _ = compose(session, [])
    assert set(plain_config(config)) == KNOWN_KEYS
    assert config.hydra.output_subdir is None
    assert config.hydra.job.chdir is False


def test_an_own_option_with_the_name_of_a_shipped_one_is_refused_rather_than_passed_over(tmp_path):
    (tmp_path / "dataset").mkdir()
    own = tmp_path / "dataset" / "letters.yaml"
    own.write_bytes((conf_dir() / "dataset" / "letters.yaml").read_bytes())
    with hydra_session(tmp_path):
        pass  # a copy that says the same does no harm
    own.write_text("_target_: my_parts.Letters\n")
    told = r"dataset/letters\.yaml has the name of an option that ships.*=my_letters"
    with pytest.raises(UserError, match=told), hydra_session(tmp_path):
        pass
