"""Option groups are filled from flat keys, check themselves, and never show in YAML."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import yaml

from mtl_cli.config.options import Options, gathered, keys_of, option
from mtl_cli.config.shipped import conf_dir
from mtl_cli.config.targets import Trust, bind
from mtl_cli.datasets.arrays import Arrays
from mtl_cli.datasets.conll import Conll
from mtl_cli.datasets.tabular import Tabular
from mtl_cli.datasets.text import Text
from mtl_cli.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Sizes(Options):
    """Sizes of a part."""

    sizes: Sequence[int]
    rate: float = option(0.5, low=0.0, below=1.0)
    kind: str = option(example="small", choices=("small", "large"))

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        together = self.kind == "small" and len(self.sizes) > 2
        return [*super().problems(), *(["kind=small has two sizes at most."] if together else [])]


@dataclass(frozen=True, kw_only=True)
class MoreSizes(Sizes):
    """Sizes of a larger part."""

    depth: int = 1


class Part:
    def __init__(self, name: str, *, size: MoreSizes, place: int) -> None:
        self.name, self.size, self.place = name, size, place


class Twice:
    def __init__(self, rate: float, *, size: Sizes) -> None:
        raise AssertionError("made")


class Defaulted:
    def __init__(self, *, size: Sizes | None = None, other: Sizes = Sizes(sizes=[1], kind="small")) -> None:
        raise AssertionError("made")


def node(**keys):
    return {"_target_": f"{__name__}.Part", **keys}


def bound(**keys):
    return bind(node(**keys), Part, "part", Trust((__name__.partition(".")[0],)), ("place",))


def test_flat_keys_fill_the_group_and_the_other_parameters():
    component = bound(name="a", sizes=[1, 2], kind="large", depth=3)
    assert component.arguments == {"name": "a", "sizes": [1, 2], "kind": "large", "depth": 3}
    part = component.make(place=7)
    assert part.size == MoreSizes(sizes=(1, 2), kind="large", depth=3, rate=0.5)
    assert (part.name, part.place) == ("a", 7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.size.depth = 4
    assert {part.size: "a list became a tuple, so that groups are keys"}


def test_every_misfit_of_a_group_is_reported_with_the_others_and_its_place():
    with pytest.raises(UserError) as caught:
        bound(name=3, sizes="ab", rate=1.0, dept=2, size={"rate": 0.1})
    assert caught.value.problems == [
        "part.name is 3; it is text. Set part.name=VALUE.",
        "part.sizes is 'ab'; it is a list of whole numbers. Set part.sizes=VALUE.",
        "part.rate is 1.0; it is a number ≥ 0 and < 1. Use for example part.rate=0.5.",
        "part.dept is unknown: 2. Did you mean 'depth'? Drop it.",
        "part.size is unknown: {'rate': 0.1}. Did you mean 'sizes'? Drop it.",
        "part.kind is missing; Part needs it. Add +part.kind=VALUE.",
    ]


def test_a_word_that_is_no_choice_is_told_with_the_nearest_one_and_null_is_none():
    for value, message in (
        ("smal", "kind is 'smal'; it is one of small, large. Did you mean 'small'? Use for example part.kind=small."),
        (None, "kind is null; it is one of small, large."),
    ):
        with pytest.raises(UserError) as caught:
            bound(name="a", sizes=[1], kind=value)
        assert str(caught.value).startswith(f"part.{message}")


def test_a_group_checks_itself_wherever_it_is_made():
    component = bound(name="a", sizes=[1, 2, 3], kind="small")
    with pytest.raises(UserError, match=r"^part.kind=small has two sizes at most\.$"):
        component.make(place=0)
    with pytest.raises(UserError) as caught:
        Sizes(sizes=[1.5], kind="tiny", rate=float("nan"))
    assert [problem.partition(" is ")[0] for problem in caught.value.problems] == ["sizes", "rate", "kind"]
    with pytest.raises(TypeError):
        Sizes([1], 0.5, "small")


def test_one_key_in_two_places_and_a_group_with_a_default_are_errors_of_the_program():
    with pytest.raises(AssertionError, match=r"takes \['rate'\] twice"):
        keys_of(Twice)
    with pytest.raises(AssertionError, match="carry their own"):
        keys_of(Defaulted)


def test_problems_of_several_groups_are_reported_at_once():
    values = yaml.safe_load((conf_dir() / "dataset" / "text.yaml").read_text(encoding="utf-8"))
    changes = {"root": None, "batch_size": 0, "split_seed": -1, "vocab_size": 1, "folds": None, "fold": 0}
    with pytest.raises(UserError) as caught:
        gathered(Text, {key: value for key, value in values.items() if key != "_target_"} | changes)
    assert [problem.split()[0] for problem in caught.value.problems] == ["batch_size", "split_seed", "vocab_size"]


@pytest.mark.parametrize("cls", [Arrays, Conll, Tabular, Text])
def test_a_default_of_a_group_is_that_of_the_file_which_lists_it(cls):
    values = yaml.safe_load((conf_dir() / "dataset" / f"{cls.__name__.lower()}.yaml").read_text(encoding="utf-8"))
    keys = {name: key for name, key in keys_of(cls).items() if key.group and not key.required}
    for name, key in keys.items():
        default = list(key.example) if isinstance(key.example, tuple) else key.example
        assert values[name] == default, name
    for key in keys_of(cls).values():
        assert key.group is None or key.rule.allows(key.example)
