from abc import abstractmethod

from mtl_cli.backbones.base import Backbone
from mtl_cli.config.on_hand import components_on_hand, either, target_of
from mtl_cli.heads.base import Head, heads_that_give
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.heads.tokens import TokenHead


class Boxes(Head):
    gives = "boxes"

    def build(self, spec, num_outputs):
        raise NotImplementedError


class Unfinished(Head):
    gives = "boxes"

    @abstractmethod
    def more(self): ...


def test_components_are_those_of_the_package_and_those_that_are_loaded():
    found = components_on_hand(Head, "mtl_cli.heads")
    assert {MLPHead, TokenHead, Boxes} <= set(found)
    assert Unfinished not in found
    assert [target_of(each) for each in found] == sorted({target_of(each) for each in found})
    backbones = {target_of(each) for each in components_on_hand(Backbone, "mtl_cli.backbones")}
    assert {"mtl_cli.backbones.hf.HF", "mtl_cli.backbones.gru.GRU"} <= backbones
    assert not {name for name in backbones if name.startswith("mtl_cli.") and "base" in name}


def test_what_no_target_can_name_is_left_out():
    class Local(MLPHead):
        pass

    assert Local not in components_on_hand(Head, "mtl_cli.heads")


def test_heads_are_found_by_what_they_give():
    assert heads_that_give("boxes") == [Boxes]
    assert MLPHead in heads_that_give("vector")
    assert TokenHead in heads_that_give("sequence")
    assert heads_that_give("graph") == []


def test_choices_are_listed():
    assert [either(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
