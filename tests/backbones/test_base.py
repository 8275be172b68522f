import pytest
import torch

from mtl_cli.backbones.base import Backbone, BackboneFactory, fitting_backbones
from mtl_cli.backbones.cnn import CNN
from mtl_cli.backbones.mlp import MLP
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import Features, FeatureSpec, Stage, run_stage, run_stages
from tests.backbones._inputs import BACKBONES, COLOUR, GREY, cnn, examples, factory, mlp

TWO = {"a": GREY, "b": COLOUR}


def equal(left, right):
    left, right = left.state_dict(), right.state_dict()
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("specs", [{"a": GREY}, TWO, {"b": COLOUR, "a": GREY}], ids=["one", "two", "turned"])
def test_specs_are_the_real_shapes_after_each_stage_for_every_dataset(name, specs):
    made = factory(BACKBONES[name](), specs)
    assert len(made.specs) == len(made.names) == made.num_stages + 1
    assert made.names[0] == "stem"
    stages = made().eval()
    for inputs in examples(specs, rows=5).values():
        x = inputs
        for stage, spec in zip(stages, made.specs, strict=True):
            x = run_stage(stage, x)
            assert FeatureSpec.of(x) == spec
            assert len(x.values) == 5


@pytest.mark.parametrize("name", BACKBONES)
def test_copies_of_one_name_are_equal_bit_for_bit_and_share_nothing(name):
    made = factory(BACKBONES[name](), TWO)
    torch.rand(7)
    first, second, other = made("0"), made("0"), made("1")
    assert equal(first, second)
    assert not {p.data_ptr() for p in first.parameters()} & {p.data_ptr() for p in second.parameters()}
    assert len(list(first.parameters())) > 2
    for left, right in zip(first.parameters(), other.parameters(), strict=True):
        assert not torch.equal(left, right)


def test_the_seed_changes_every_copy_and_the_default_random_stream_changes_none():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    made = factory(cnn())
    first = made()
    assert torch.equal(torch.rand(3), expected)
    assert equal(first, factory(cnn())())
    assert not equal(first, factory(cnn(), seed=1)())


@pytest.mark.parametrize("name", BACKBONES)
def test_a_part_equals_the_part_of_the_whole(name):
    made = factory(BACKBONES[name](), TWO)
    whole = made("x")
    for start in range(made.num_stages + 1):
        for stop in range(start, made.num_stages + 1):
            part = made("x", start, stop)
            assert len(part) == stop - start + 1
            for own, of_whole in zip(part, whole[start : stop + 1], strict=True):
                assert equal(own, of_whole)
    assert len(made("x", made.num_stages + 1)) == 0


def test_the_parts_of_a_split_run_like_the_whole():
    made = factory(cnn(), TWO)
    inputs = examples(TWO)["b"]
    whole, lower, upper = made().eval(), made(stop=1).eval(), made(start=2).eval()
    assert torch.equal(run_stages(upper, run_stages(lower, inputs)).values, run_stages(whole, inputs).values)


def test_each_dataset_has_a_stem_of_its_own_that_does_not_depend_on_the_others():
    specs = {"a": GREY, "b": COLOUR, "c": InputSpec("vector", (5,))}
    of = {"t1": "a", "t2": "b", "t3": "b", "t4": "c"}
    made = factory(mlp(), specs, of)
    whole = made().state_dict()
    stems = {name: {key for key in whole if f"stems.{name}." in key} for name in specs}
    assert all(len(keys) == 2 for keys in stems.values())
    for task, dataset in of.items():
        own = made(tasks=[task]).state_dict()
        assert {key for key in own if "stems" in key} == stems[dataset]
        assert all(torch.equal(value, whole[key]) for key, value in own.items())
    without_b = factory(mlp(), {"a": GREY, "c": specs["c"]}, {"t1": "a", "t4": "c"})().state_dict()
    assert all(torch.equal(value, whole[key]) for key, value in without_b.items())


def test_the_initialisation_reaches_stages_and_stems():
    made = factory(mlp(init="orthogonal", hidden=[6, 6]), TWO)
    stages = made()
    layers = [layer for layer in stages.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(6), atol=1e-5, rtol=0)


def test_stages_are_found_by_number_and_by_name():
    made = factory(cnn())
    assert made.names == ["stem", "conv1", "conv2", "dense1"]
    assert [made.stage_index(name) for name in ("conv1", "conv2", "dense1")] == [1, 2, 3]
    assert [made.stage_index(number) for number in (1, 2, 3)] == [1, 2, 3]
    for unknown, hint in (("cnov1", "Did you mean 'conv1'"), ("conv3", ""), (0, ""), (4, ""), (-1, ""), ("stem", "")):
        with pytest.raises(ValueError, match=f"no stage '{unknown}'") as caught:
            made.stage_index(unknown)
        assert "1=conv1, 2=conv2, 3=dense1" in str(caught.value)
        assert hint in str(caught.value)


def test_modules_of_a_sharing_mode_are_seeded_by_name():
    made = factory(cnn())
    draws = []
    for name in ("gates/a", "gates/b", "gates/a"):
        with made.seeded(name):
            draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])


def test_a_stage_that_cannot_take_its_input_is_named():
    wrong = {"a": Inputs(torch.randn(2, 5, 16, 16), "a")}  # five channels where the spec says one
    made = factory(cnn())
    with pytest.raises(ValueError, match=r"Stage 'conv1' of the backbone cannot take features \(2, 5, 16, 16\)"):
        type(made)(cnn(), wrong, {"a": GREY}, {"a": "a"}, 0)


class Skipping(CNN):
    """Four stages that keep what they are handed; the last two of these skips are read, the finest alone or not."""

    def __init__(self, reads: slice) -> None:
        super().__init__([4], [], 0.0, "relu", "none", "default")
        self.reads = reads

    def stages(self, common):
        first = super().stages(common)
        return first | dict.fromkeys(("keep1", "keep2", "keep3"), Keep) | {"sum": lambda: Sum(self.reads)}


class Keep(Stage):
    keeps_input = True

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(4, 4, 1)

    def forward(self, values):
        return self.layer(values)


class Sum(Stage):
    takes_skips = True

    def __init__(self, reads: slice) -> None:
        super().__init__()
        self.reads = reads

    def forward(self, values, skips):
        return Features(torch.stack([values, *skips[self.reads]]).sum(dim=0), skips=skips)


@pytest.mark.parametrize(("reads", "kept"), [(slice(1, 3), [3, 4]), (slice(0, 1), [2]), (slice(0, 0), [])])
def test_a_skip_that_nothing_reads_is_not_kept(reads, kept):
    made = factory(Skipping(reads))
    keeping = [number for number, stage in made().numbered() if isinstance(stage, Stage) and stage.keeps_input]
    assert keeping == kept
    assert [len(spec.skips) for spec in made.specs][-1] == len(kept)
    read_by_a_head = BackboneFactory(Skipping(reads), examples({"a": GREY}), {"a": GREY}, {"t": "a"}, 0, ["t"])
    assert len(read_by_a_head.specs[-1].skips) == 3
    assert len(read_by_a_head.alone("t").specs[-1].skips) == 3
    without_reader = read_by_a_head.up_to(3)
    assert len(without_reader.specs) == 4
    assert len(without_reader.specs[-1].skips) == 2


def test_a_part_without_the_reader_keeps_no_skip_for_it():
    made = factory(Skipping(slice(1, 3)))
    assert made.up_to(made.num_stages) is made
    below = made.up_to(4)
    assert [len(spec.skips) for spec in below.specs] == [0] * 5
    assert equal(below(), made(stop=4))


def test_a_stage_that_needs_what_it_did_not_ask_for_is_named():
    class Wrong(CNN):
        def stages(self, common):
            return {"unsaid": Unsaid}

    class Unsaid(torch.nn.Module):
        def forward(self, values, skips):
            return values

    with pytest.raises(ValueError, match=r"Stage 'unsaid' of the backbone cannot take features .*'skips'"):
        factory(Wrong([4], [], 0.0, "relu", "none", "default"))


class Own(CNN):
    """Overrides `common_input`, as a backbone of before could only do."""

    def common_input(self, inputs):
        return InputSpec("image", (1, 16, 16))


class Undeclared(MLP):
    takes = ()

    def common_spec(self, inputs):
        return Backbone.common_spec(self, inputs)


def test_a_backbone_that_overrides_common_input_decides_alone_what_it_takes():
    assert Own([4], [], 0.0, "relu", "none", "default").common_input({"a": InputSpec("sound", (3,))}).kind == "image"


def test_by_default_datasets_have_equal_inputs():
    backbone = Undeclared([4], 0.0, "relu", "default")
    assert backbone.common_input({"a": GREY, "b": GREY}) == GREY
    message = r"Undeclared takes datasets of equal inputs; 'a' has image inputs \(1, 16, 16\), 'b' image inputs \(3,"
    with pytest.raises(ValueError, match=message):
        backbone.common_input(TWO)


def test_backbones_are_advised_by_what_they_take_and_give():
    takes_both = fitting_backbones({"image", "table"})
    assert {"backbone=mixed", "backbone=mlp"} <= set(takes_both)
    assert not {"backbone=cnn", "backbone=tabular"} & set(takes_both)
    maps = fitting_backbones({"image"}, ["map"])
    assert "backbone=cnn backbone.dense=[]" in maps
    assert "backbone=lenet" not in maps
    assert fitting_backbones({"smell"}) == []


def test_the_stem_takes_inputs_by_the_name_of_their_dataset():
    stages = factory(cnn(), TWO)()
    assert isinstance(run_stage(stages[0], examples(TWO)["b"]), Features)
    with pytest.raises(KeyError):
        run_stage(stages[0], Inputs(torch.zeros(1, 1, 16, 16), "c"))
