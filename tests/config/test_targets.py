import subprocess
import sys
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from mtl_cli.backbones.base import Backbone
from mtl_cli.config.annotations import describe, fits
from mtl_cli.config.targets import Component, Trust, bind, locate
from mtl_cli.errors import UserError
from mtl_cli.heads.base import Head
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.lr_schedules import LRSchedule
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.classification import Classification

HERE = Trust((__name__.partition(".")[0],))
CNN = {
    "_target_": "mtl_cli.backbones.cnn.CNN", "channels": [4], "dense": [8], "dropout": 0.1, "activation": "relu",
    "norm": "none", "init": "default",
}  # fmt: skip
HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": [3]}
TASK = {
    "_target_": "mtl_cli.tasks.classification.Classification", "target": "label", "weight": 1.0,
    "label_smoothing": 0.0, "head": HEAD,
}  # fmt: skip


class Widget:
    """A kind of component."""


class Plain(Widget):
    def __init__(self, sizes: Sequence[int], rate: float = 0.1, depth: int | None = None, *, name: str = "") -> None:
        self.sizes, self.rate, self.depth, self.name = sizes, rate, depth, name


class Inherits(Plain):
    """Takes over its constructor."""


class Nested(Widget):
    def __init__(self, part: Plain, parts: int = 0, options: Mapping[str, float] | None = None) -> None:
        self.part, self.parts = part, parts


class Unfinished(Widget, ABC):
    @abstractmethod
    def work(self) -> None: ...


class Careless(Widget):
    def __init__(self, **anything: typing.Any) -> None:
        self.anything = anything


class Refusing(Widget):
    def __init__(self, size: int) -> None:
        raise ValueError(f"{size} is too much")


def a_function() -> Widget:
    raise AssertionError("called")


def problems(node, kind=Widget, trust=HERE, runtime=()):
    with pytest.raises(UserError) as caught:
        bind(node, kind, "place", trust, runtime)
    return caught.value.problems


def here(cls, /, **arguments):
    return {"_target_": f"{__name__}.{cls}", **arguments}


# What a _target_ may name


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("mtl_cli.backbones.cnn.CNN", Backbone),
        ("mtl_cli.sharing.hard.Hard", Sharing),
        ("mtl_cli.tasks.classification.Classification", Task),
        ("torch.optim.SGD", torch.optim.Optimizer),
        ("torch.optim.adamw.AdamW", torch.optim.Optimizer),
        ("torch.nn.Linear", torch.nn.Module),
    ],
)
def test_classes_of_the_kind_that_is_expected_are_found(target, kind):
    found = locate(target, kind, "place", Trust())
    assert issubclass(found, kind)
    assert found.__name__ == target.rpartition(".")[2]


ATTACKS = [
    "logging.os.system", "os.system", "posix.system", "subprocess.Popen", "pathlib.Path", "builtins.eval",
    "builtins.open", "importlib.import_module", "torch.hub.load", "torch.load", "torch.utils.data.DataLoader",
    "torch.serialization.load", "numpy.load", "ctypes.CDLL", "shutil.rmtree", "torch.nnx.Linear", "mtl_cli_evil.Task",
    "torchvision.models.resnet18", "hydra.utils.instantiate",
]  # fmt: skip


@pytest.mark.parametrize("target", ATTACKS)
@pytest.mark.parametrize("trust", [Trust(), Trust(folders=(Path(__file__).parent,))], ids=["stranger", "own folder"])
def test_modules_outside_the_allowed_ones_are_refused_and_the_message_says_how_to_trust_them(target, trust):
    with pytest.raises(UserError, match=r"not part of mtl_cli, torch.nn or torch.optim") as caught:
        locate(target, Backbone, "backbone", trust)
    assert f"'trust=[{target.partition('.')[0]}]'" in str(caught.value)
    assert f"backbone._target_ is {target}" in str(caught.value)


def test_an_aliased_module_inside_an_allowed_one_is_not_walked_into():
    for target in (
        "torch.nn.functional.torch.hub.load",
        "mtl_cli.files.os.system",
        "torch.optim.lr_scheduler.math.pow",
    ):
        with pytest.raises(UserError):
            locate(target, Backbone, "backbone", Trust())


@pytest.mark.parametrize(
    ("target", "kind", "reason"),
    [
        ("torch.nn.functional.relu", Backbone, "is not a class"),
        ("mtl_cli.layers.named.activation", Backbone, "is not a class"),
        ("mtl_cli.files.os", Backbone, "is not a class"),
        ("mtl_cli.layers.named.ACTIVATIONS", Backbone, "is not a class"),
        ("mtl_cli.storage.directory.Path", Backbone, "comes from pathlib; that is not trusted"),
        ("mtl_cli.storage.directory.FileLock", Backbone, "that is not trusted"),
        ("torch.nn.modules.module.OrderedDict", Backbone, "comes from collections; that is not trusted"),
        ("mtl_cli.errors.UserError", Backbone, "is not a Backbone"),
        ("mtl_cli.sharing.hard.Hard", Backbone, "is not a Backbone"),
        ("torch.nn.Linear", Backbone, "is not a Backbone"),
        ("mtl_cli.backbones.base.Backbone", Backbone, "is abstract: it lacks stages, stem"),
        ("mtl_cli.backbones.image_base.ImageBackbone", Backbone, "is abstract"),
        (f"{__name__}.Unfinished", Widget, "is abstract: it lacks work"),
        ("torch.optim.Optimizer.load_state_dict", Backbone, "No module named"),
        ("mtl_cli.backbones.nothing.CNN", Backbone, "No module named"),
        ("mtl_cli.backbones.cnn.CNNN", Backbone, "does not exist. Did you mean 'CNN'?"),
    ],
)
def test_what_is_no_class_of_the_expected_kind_is_refused(target, kind, reason):
    with pytest.raises(UserError) as caught:
        locate(target, kind, "place", HERE)
    assert reason in str(caught.value)
    assert f"place._target_ is {target}" in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        "CNN", "", ".", "a..b", "mtl_cli.backbones.cnn.", ".mtl_cli.cnn", "mtl_cli.backbones.cnn.CNN()", "a b.c",
        "mtl_cli.__init__.CNN", "mtl_cli.backbones.cnn.CNN.__init__", "mtl_cli.__builtins__.eval", "mtl_cli._a__b.C",
        "mtl_cli.backbones.cnn.CNN\n", "mtl_cli/backbones/cnn.CNN", "${oc.env:HOME}.x", "mtl_cli:cnn", None, 3, ["a.b"],
        {"a": 1},
    ],
)  # fmt: skip
def test_what_is_no_dotted_path_of_plain_identifiers_is_refused(target):
    with pytest.raises(UserError, match="it is the dotted path of a class"):
        locate(target, Backbone, "place", Trust())


@pytest.fixture
def strangers_module(tmp_path, monkeypatch):
    """A module on the import path that leaves a file when it is imported."""
    (tmp_path / "strangers_net.py").write_text(
        "from pathlib import Path\n(Path(__file__).parent / 'ran').touch()\n"
        "from mtl_cli.backbones.cnn import CNN\nclass Net(CNN):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("strangers_net", None)


def test_a_module_that_is_not_trusted_is_not_even_imported(strangers_module):
    for folders in ((), (strangers_module / "conf",)):
        with pytest.raises(UserError, match=r"'trust=\[strangers_net\]'"):
            locate("strangers_net.Net", Backbone, "backbone", Trust(folders=folders))
    assert "strangers_net" not in sys.modules
    assert not (strangers_module / "ran").exists()


@pytest.mark.parametrize("how", ["named", "folder", "parent"])
def test_a_trusted_module_or_folder_is_imported(strangers_module, how):
    trust = {
        "named": Trust(("strangers_net",)),
        "folder": Trust(folders=(strangers_module,)),
        "parent": Trust(folders=(strangers_module.parent,)),
    }[how]
    assert locate("strangers_net.Net", Backbone, "backbone", trust).__module__ == "strangers_net"
    assert (strangers_module / "ran").exists()


def test_trusting_a_name_trusts_what_is_below_it_and_nothing_that_starts_alike():
    trust = Trust(("my_pkg.nets",))
    assert trust.allows("my_pkg.nets")
    assert trust.allows("my_pkg.nets.small")
    for module in ("my_pkg", "my_pkg.other", "my_pkg.nets2", "my_pkg_nets"):
        assert not trust.allows(module)


def test_an_own_folder_also_holds_packages_without_an_init_file(tmp_path, monkeypatch):
    (tmp_path / "own" / "own_nets").mkdir(parents=True)
    (tmp_path / "own" / "own_nets" / "small.py").write_text(
        "from mtl_cli.backbones.cnn import CNN\nclass Small(CNN): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "own")
    assert Trust(folders=(tmp_path / "own",)).allows("own_nets.small")
    assert not Trust(folders=(tmp_path / "other",)).allows("own_nets.small")
    (tmp_path / "other" / "own_nets").mkdir(parents=True)  # a stranger's folder adds to the same package
    monkeypatch.syspath_prepend(tmp_path / "other")
    assert not Trust(folders=(tmp_path / "own",)).allows("own_nets.small")


def test_a_link_in_an_own_folder_to_elsewhere_is_not_own_code(strangers_module, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "linked_net.py").symlink_to(strangers_module / "strangers_net.py")
    monkeypatch.syspath_prepend(own)
    assert not Trust(folders=(own,)).allows("linked_net")


def test_an_own_file_does_not_stand_for_torch_or_this_program(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert not Trust(folders=(tmp_path,)).allows("torch.hub")


@pytest.mark.parametrize(
    "body", ["x = 1 / 0\n", "def broken(:\n", "raise OSError('gone')\n", "import not_there_at_all\n"]
)
def test_own_code_that_fails_on_import_is_a_short_error(tmp_path, monkeypatch, body):
    (tmp_path / "broken_net.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"backbone._target_ is broken_net.Net"):
        locate("broken_net.Net", Backbone, "backbone", Trust(("broken_net",)))


def test_a_module_whose_package_is_missing_says_which_to_install(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("from mtl_cli.errors import UserError\nraise UserError('Install it: x.')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"^Install it: x\.$"):
        locate("needs_more.Thing", Backbone, "backbone", Trust(["needs_more"]))


def test_nothing_of_an_attack_is_imported_in_a_fresh_process():
    code = (
        "import sys\nfrom mtl_cli.config.targets import Trust, locate\nfrom mtl_cli.errors import UserError\n"
        "before = set(sys.modules)\n"
        "for target in ('turtle.Turtle', 'antigravity.x', 'this.x', 'sqlite3.Connection', 'idlelib.run.x'):\n"
        "    try:\n        locate(target, object, 'a', Trust())\n    except UserError:\n        continue\n"
        "    sys.exit(1)\n"
        "sys.exit(2 if set(sys.modules) - before else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# Arguments


def test_bound_arguments_reach_the_class_and_the_program_adds_its_own():
    made = bind(here("Plain", sizes=[1, 2], rate=3), Widget, "place", HERE, ("name",)).make(name="x")
    assert (made.sizes, made.rate, made.depth, made.name) == ([1, 2], 3, None, "x")


def test_nested_components_are_bound_to_the_annotated_class_and_made_with_it():
    task = bind(TASK, Task, "tasks.a", Trust(), ("name", "field"))
    assert task.cls is Classification
    assert isinstance(task.arguments["head"], Component)
    assert task.arguments["head"].where == "tasks.a.head"
    outer = bind(here("Nested", part=here("Inherits", sizes=[7])), Widget, "place", HERE).make()
    assert isinstance(outer.part, Inherits)
    assert outer.part.sizes == [7]


def test_every_misfit_of_a_component_is_reported_at_once():
    node = {**CNN, "chanels": 3, "dropout": "high", "_partial_": True, "norm": 2}
    del node["init"]
    found = problems(node, Backbone, Trust())
    assert len(found) == 5
    for text in (
        "place.chanels is unknown: 3. Did you mean 'channels'?",
        "place.dropout is 'high'; it is a number",
        "place._partial_ is unknown: True.",
        "place.norm is 2; it is text",
        "place.init is missing; CNN needs it.",
    ):
        assert any(problem.startswith(text) for problem in found), text


def test_misfits_of_a_nested_component_are_reported_with_the_others():
    found = problems(
        {**TASK, "weight": "much", "head": {**HEAD, "hidden": "ten", "dropuot": 1}}, Task, Trust(), ("name", "field")
    )
    assert len(found) == 3
    assert any("place.head.dropuot is unknown: 1. Did you mean 'dropout'?" in problem for problem in found)
    assert any("place.head.hidden is 'ten'" in problem for problem in found)


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_", "__class__", "_", 3, None])
def test_no_other_key_with_an_underscore_and_no_key_that_is_no_word_is_taken(key):
    (problem,) = problems(here("Plain", sizes=[1]) | {key: True})
    assert problem.startswith(f"place.{key} is unknown: True.")
    (problem,) = problems(here("Careless") | {key: True})  # also where a class takes anything
    assert problem.startswith(f"place.{key} is unknown")


@pytest.mark.parametrize(
    "node",
    [
        here("Plain", sizes=[1], rate={"_target_": "os.system", "command": "true"}),
        here("Plain", sizes={"_target_": "os.system"}),
        here("Plain", sizes=[1], depth={"_target_": f"{__name__}.a_function"}),
        here("Plain", sizes=[{"_target_": f"{__name__}.a_function"}]),
        here("Nested", part=here("Plain", sizes=[1]), parts=here("Plain", sizes=[1])),
        here("Nested", part=here("Plain", sizes=[1]), options={"x": {"_target_": "os.system"}}),
    ],
)
def test_a_component_where_a_plain_value_is_expected_is_refused(node):
    (problem,) = problems(node)
    assert "a plain value is expected there" in problem or "; it is a " in problem


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"_target_": "os.system"}, "not part of"),
        ({"_target_": f"{__name__}.a_function"}, "is not a class"),
        ({"_target_": f"{__name__}.Nested"}, "is not a Plain"),
        ({"_target_": f"{__name__}.Plain"}, "place.part.sizes is missing"),
        (3, "place.part is 3; it is a Plain"),
        ({"sizes": [1]}, "place.part is {'sizes': [1]}; it is a Plain"),
    ],
)
def test_a_nested_component_follows_the_same_rule(part, reason):
    (problem,) = problems(here("Nested", part=part))
    assert reason in problem


def test_what_the_program_sets_may_not_be_set_in_yaml():
    (problem,) = problems(here("Plain", sizes=[1], name="mine"), runtime=("name",))
    assert problem == "place.name is 'mine'; the program sets it. Drop it."


@pytest.mark.parametrize("node", [None, 3, "mtl_cli.backbones.cnn.CNN", [], {}, {"channels": [1]}])
def test_a_node_without_a_target_is_refused(node):
    (problem,) = problems(node, Backbone, Trust())
    assert "it is a mapping with a _target_" in problem


def test_an_inherited_constructor_is_checked_like_an_own_one():
    assert len(problems(here("Inherits", sizes="abc", rate=True, depth=1.5))) == 3
    (problem,) = problems({"_target_": "mtl_cli.lr_schedules.Constant", "warmup_steps": "two"}, LRSchedule, Trust())
    assert problem.startswith("place.warmup_steps is 'two'; it is a whole number.")


def test_a_class_that_refuses_its_arguments_ends_in_a_user_error_that_names_the_place():
    with pytest.raises(UserError, match="place: 3 is too much"):
        bind(here("Refusing", size=3), Widget, "place", HERE).make()
    bad = {"_target_": "torch.optim.SGD", "lr": -1.0}
    with pytest.raises(UserError, match=r"optimizer: Invalid learning rate: -1.0"):
        bind(bad, torch.optim.Optimizer, "optimizer", Trust(), ("params",)).make(params=[torch.zeros(1)])
    clash = {"_target_": "torch.optim.Adam", "fused": True, "foreach": True}
    with pytest.raises(UserError, match=r"optimizer: .*foreach"):
        bind(clash, torch.optim.Optimizer, "optimizer", Trust(), ("params",)).make(params=[torch.zeros(1)])
    own = {**CNN, "dropout": 2}
    with pytest.raises(UserError, match=r"^dropout is 2; it is a probability in \[0, 1\)\.$"):
        bind(own, Backbone, "backbone", Trust()).make()


def test_a_default_that_is_shared_between_components_is_not_changed():
    first = bind(HEAD, Head, "a", Trust())
    second = bind(HEAD, Head, "b", Trust())
    first.arguments["hidden"] = [9]
    assert second.make().hidden == (3,)
    assert isinstance(first.make(), MLPHead)


# Types


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1]]),
        (float, [0, 1.5, -2], [False, "1.5", None, [1.0]]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, True, ["a"]]),
        (None, [None], [0, "", False]),
        (int | None, [None, 3], [True, 3.5, "null"]),
        (float | None, [None, 3, 2.5], [True, "x"]),
        (int | str, [1, "a"], [1.5, True, None]),
        (Sequence[int], [[], [1, 2], (3,)], ["12", [1.0], [True], [[1]], {"a": 1}, 3, None]),
        (list[str], [["a"], []], ["a", [1]]),
        (tuple[int, ...], [[1, 2, 3], []], [["a"], 1]),
        (tuple[float, float], [[0.9, 1]], [[0.9], [1, 2, 3], ["a", 1], 0.9]),
        (Sequence[Sequence[int]], [[[1], []]], [[1], [["a"]]]),
        (Mapping[str, float], [{}, {"a": 1}], [{"a": "b"}, [1], None]),
        (Mapping[str, int | str], [{"a": 1, "b": "c"}], [{"a": 1.5}]),
        (dict, [{}, {"a": []}], [[], 1]),
        (list, [[1, "a"]], ["ab", 3, {}]),
        (Sequence, [[1, "a"]], ["ab", 3]),
        (typing.Literal["mean", "sum"], ["mean"], ["max", 1, None]),
        (float | torch.Tensor, [0.1, 1], ["abc", True, [1.0]]),
        (Head, [], [3, "a", {"hidden": []}]),
        (typing.Any, [1, "a", None, [1], {}], []),
        (object, [1, "a", None, [1]], []),
    ],
    ids=str,
)
def test_a_value_fits_an_annotation(hint, good, bad):
    assert good or bad
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "a whole number or null"),
        (Sequence[int], "a list of whole numbers"),
        (float, "a number"),
        (Mapping[str, int], "a mapping"),
        (Head, "a Head"),
        (tuple[float, float], "a list of 2 values"),
        (typing.Literal["mean", "sum"], "one of mean, sum"),
    ],
)
def test_annotations_are_described_in_words(hint, words):
    assert describe(hint) == words
