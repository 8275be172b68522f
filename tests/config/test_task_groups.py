import copy

import pytest

from mtl_cli.commands.compose import hydra_session
from mtl_cli.commands.composed_run import compose_run
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.run_config import checked, config_hash, override
from mtl_cli.config.targets import Trust
from mtl_cli.config.task_groups import GROUPS, distinct_nodes, expand, key_in_group, merged, once_per_group, task_names
from mtl_cli.config.validation import validate
from mtl_cli.errors import UserError
from mtl_cli.runs.components import bind_all

HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": [4], "dropout": 0.0, "activation": "relu", "init": "default"}
DATASET = {"_target_": "mtl_cli.datasets.tabular.Tabular", "path": "assays.csv", "fold": "${data.fold}"}


def group(targets):
    return {
        "_target_": "mtl_cli.tasks.binary.Binary",
        "targets": targets,
        "weight": 1.0,
        "label_smoothing": 0.0,
        "class_weights": None,
        "focal_gamma": 0.0,
        "head": dict(HEAD),
        "dataset": dict(DATASET),
    }


@pytest.fixture(scope="module")
def base():
    with hydra_session() as session:
        return compose_run(session, []).config


@pytest.fixture
def config(base):
    targets = {"NR_AR": {}, "NR_ER": {"weight": 2.0, "head": {"hidden": [8]}}, "SR_p53": None}
    return {**copy.deepcopy(base), "tasks": {"assay": group(targets), "letters": base["tasks"]["letters"]}}


def by_hand(node, target, **own):
    return {**{key: value for key, value in node.items() if key != "targets"}, "target": target, **own}


def test_a_group_is_expanded_to_the_nodes_that_one_would_write_by_hand(config):
    plain = resolve(config)
    node, expanded = plain["tasks"]["assay"], expand(plain)
    assert list(expanded["tasks"]) == ["NR_AR", "NR_ER", "SR_p53", "letters"]
    assert expanded["tasks"]["NR_AR"] == by_hand(node, "NR_AR")
    assert expanded["tasks"]["NR_ER"] == by_hand(node, "NR_ER", weight=2.0, head={**HEAD, "hidden": [8]})
    assert expanded["tasks"]["SR_p53"] == by_hand(node, "SR_p53")
    assert expanded["tasks"]["SR_p53"]["dataset"]["fold"] == 0, "interpolations are resolved first"
    assert expanded[GROUPS] == {"assay": ["NR_AR", "NR_ER", "SR_p53"]}


def test_a_config_without_groups_is_left_as_it_is(base):
    assert checked(base) == resolve(base)


def test_expanding_again_changes_nothing(config):
    once = expand(resolve(config))
    assert expand(once) == once


def test_own_values_are_merged_deeply_and_change_nothing_else():
    node = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": 3}
    assert merged(node, {"a": {"c": {"d": [5], "f": 6}}}) == {"a": {"b": 1, "c": {"d": [5], "f": 6}}, "e": 3}
    assert node == {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": 3}


def test_an_own_target_is_the_field_that_is_read(config):
    config["tasks"]["assay"]["targets"]["SR_p53"] = {"target": "p53"}
    assert checked(config)["tasks"]["SR_p53"]["target"] == "p53"


def test_the_written_config_is_not_expanded(config):
    before = copy.deepcopy(config)
    checked(config)
    assert config == before


WRONG = [
    ({"assay": ["A", "B"]}, "tasks.assay.targets is ['A', 'B']; it maps the name of each task"),
    ({"assay": {}}, "tasks.assay.targets is empty, so it names no task. Leave the whole group out: ~tasks.assay."),
    ({"assay": {"NR AR": {}}}, "names a task 'NR AR'; a name is letters, digits, _ and -."),
    ({"assay": {"A": 2.0}}, "tasks.assay.targets.A is 2.0; it is a mapping of the task's own values"),
    ({"assay": {"A": {"targets": {}}}}, "tasks.assay.targets.A.targets is a group in a group."),
    ({"assay": {"assay": {}}}, "tasks.assay and a task of it have the same name"),
    ({"one": {"A": {}}, "two": {"A": {}}}, "Two tasks are named 'A': tasks.one.targets.A and tasks.two.targets.A."),
    ({"one": {"A": {}}, "A": {"B": {}}}, "Two tasks are named 'A': tasks.one.targets.A and tasks.A."),
    ({"assay": {"letters": {}}}, "Two tasks are named 'letters': tasks.assay.targets.letters and tasks.letters."),
]


@pytest.mark.parametrize(("groups", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_groups_that_are_written_wrongly_and_names_given_twice(base, groups, message):
    tasks = {name: group(targets) for name, targets in groups.items()}
    [problem] = validate({**base, "tasks": {**tasks, "letters": base["tasks"]["letters"]}})
    assert message in problem


def test_target_beside_targets_is_refused(config):
    config["tasks"]["assay"]["target"] = "NR_AR"
    assert "tasks.assay has target beside targets" in validate(config)[0]


def test_a_mistake_in_a_group_is_reported_once_and_one_in_a_task_under_its_name(config):
    config["tasks"]["assay"]["weight"] = -1.0
    config["tasks"]["assay"]["head"]["hidden"] = "wide"
    config["tasks"]["assay"]["targets"]["NR_ER"] = {"focal_gamma": "strong"}
    problems = validate(config)
    assert [problem.split(" is ")[0] for problem in problems if "hidden" in problem] == ["tasks.assay.head.hidden"]
    assert any(problem.startswith("tasks.assay.weight is -1.0") for problem in problems)
    assert any(problem.startswith("tasks.NR_ER.focal_gamma is 'strong'") for problem in problems)


def test_only_groups_and_tasks_with_values_of_their_own_are_looked_at(config):
    nodes = distinct_nodes(resolve(config)["tasks"])
    assert list(nodes) == ["assay", "NR_ER", "letters"]
    assert nodes["NR_ER"]["weight"] == 2.0


@pytest.mark.parametrize("metric", ["assay/auc", "NR_AR/auc", "skill"])
def test_selection_may_name_a_group_and_its_tasks(config, metric):
    assert validate({**config, "selection": {"metric": metric}}) == []


def test_an_unknown_task_in_a_metric_is_refused_with_the_nearest_one(config):
    [problem] = validate({**config, "selection": {"metric": "NRAR/auc"}})
    assert "Did you mean 'NR_AR'" in problem


def test_the_order_of_the_targets_counts_in_the_hash_and_that_of_their_values_does_not(config):
    node = config["tasks"]["assay"]
    turned = {**node, "targets": dict(reversed(node["targets"].items()))}
    other = {**config, "tasks": {**config["tasks"], "assay": turned}}
    assert task_names(config["tasks"]) == ["assay", "NR_AR", "NR_ER", "SR_p53", "letters"]
    assert config_hash(other) != config_hash(config)
    same = {**config, "tasks": {**config["tasks"], "assay": dict(reversed(node.items()))}}
    assert config_hash(same) == config_hash(config)


def test_keys_of_a_task_of_a_group_are_found_in_the_group(config):
    tasks = config["tasks"]
    assert key_in_group(tasks, "tasks.NR_AR.head.hidden") == "tasks.assay.targets.NR_AR.head.hidden"
    for key in ("tasks.letters.weight", "tasks.nobody.weight", "tasks.assay.weight", "trainer.device", "tasks"):
        assert key_in_group(tasks, key) is None


def test_a_runs_config_takes_values_for_tasks_of_a_group(config):
    changed = override(
        config, {"tasks.SR_p53.dataset.path": "b.csv", "tasks.NR_ER.weight": 3.0, "tasks.assay.weight": 0.5}
    )
    tasks = checked(changed)["tasks"]
    assert [tasks[name]["dataset"]["path"] for name in ("NR_AR", "NR_ER", "SR_p53")] == ["assays.csv"] * 2 + ["b.csv"]
    assert [tasks[name]["weight"] for name in ("NR_AR", "NR_ER", "SR_p53")] == [0.5, 3.0, 0.5]
    assert config["tasks"]["assay"]["targets"]["SR_p53"] is None
    with pytest.raises(UserError, match=r"has no key 'tasks\.NR_AR\.weigth'"):
        override(config, {"tasks.NR_AR.weigth": 3.0})


def test_a_problem_of_all_tasks_of_a_group_is_reported_once():
    groups = {"g": ["a", "b"], "h": ["c", "d"]}
    everyone = [f"tasks.{name}.size is unknown. Drop tasks.{name}.size." for name in ("a", "b", "c")]
    other = ["tasks.a.weight is 'x'.", "seed is -1.", "tasks.alone.size is unknown."]
    assert once_per_group([*everyone, *other], groups) == [
        "tasks.g.size is unknown. Drop tasks.g.size.",
        everyone[2],
        *other,
    ]


def test_an_argument_that_a_group_has_too_many_is_reported_once(config):
    config["tasks"]["assay"]["head"]["hiden"] = [8]
    with pytest.raises(UserError) as caught:
        bind_all(checked(config), Trust())
    [problem] = [problem for problem in caught.value.problems if "hiden" in problem]
    assert problem.startswith("tasks.assay.head.hiden is unknown")
