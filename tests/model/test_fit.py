import pytest

from mtl_cli.backbones.base import override_of
from mtl_cli.backbones.gru import GRU
from mtl_cli.batch import FieldSpec
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.tokens import TokenHead
from mtl_cli.model.fit import misfits
from mtl_cli.sharing.hierarchical import Hierarchical
from mtl_cli.tasks.token_classification import TokenClassification
from tests._models import task
from tests.backbones.test_text_base import BACKBONES, factory


class Strange(TokenHead):
    takes = ("graph",)


def tagging(name, head):
    return TokenClassification("tags", 1.0, 0.0, None, "none", head, name=name, field=FieldSpec("tokens", 3))


def test_a_head_on_features_that_it_does_not_take_is_told_with_backbones_and_stages_that_fit():
    made = factory("text_cnn")
    tasks = {"tags": tagging("tags", TokenHead()), "topic": task("topic")}
    (problem,) = misfits(tasks, dict.fromkeys(tasks, made.specs[-1]), made)
    width = made.specs[-1].width
    assert problem.startswith(
        "tasks.tags.head is a TokenHead, which reads a sequence of features per sample; the backbone gives a vector "
        f"({width},). Use backbone=gru, backbone=hf, backbone=lstm, backbone=text_cnn backbone.last=conv, "
        "backbone=transformer"
    )
    below = max(number for number, spec in enumerate(made.specs) if spec.kind == "sequence")
    assert problem.endswith(f" or sharing=hierarchical 'sharing.attach={{tags: {below}}}'.")


def test_the_stage_below_that_is_named_fits():
    made = factory("text_cnn")
    (task_name,) = made.tasks
    tasks = {task_name: tagging(task_name, TokenHead())}
    (problem,) = misfits(tasks, {task_name: made.specs[-1]}, made)
    stage = int(problem[: -len("}'.")].rpartition(": ")[2])
    mode = Hierarchical({task_name: stage}, backbone=made, tasks=made.tasks)
    assert misfits(tasks, mode.specs, made) == []
    assert misfits(tasks, Hierarchical({}, backbone=made, tasks=made.tasks).specs, made) == [problem]


def test_the_backbones_that_are_named_give_what_the_head_takes():
    """The declarations hold: what `gives` says is what the last stage gives."""
    for name in BACKBONES:
        made = factory(name)
        assert made.specs[-1].kind in BACKBONES[name].gives
        fits = not misfits({"tags": tagging("tags", TokenHead())}, {"tags": made.specs[-1]}, made)
        assert fits == (name != "text_cnn")


def test_where_nothing_fits_the_message_says_so():
    made = factory("gru")
    (problem,) = misfits({"tags": tagging("tags", Strange())}, {"tags": FeatureSpec((4,))}, made)
    assert problem.endswith("the backbone gives a vector (4,). No backbone on hand gives that from text inputs.")


def test_a_backbone_of_a_user_is_named_by_its_target():
    class Local(GRU):
        pass

    Local.__module__, Local.__qualname__ = "my_parts", "Own"
    assert override_of(Local) == "backbone._target_=my_parts.Own"
    assert override_of(GRU) == "backbone=gru"


@pytest.mark.parametrize("name", BACKBONES)
def test_text_backbones_take_text(name):
    assert {"text", "text_table"} <= set(BACKBONES[name].takes)
