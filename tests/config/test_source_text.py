import inspect

import pytest

from mtl_cli.backbones.base import Backbone
from mtl_cli.commands.option_facts import facts
from mtl_cli.config.on_hand import components_on_hand, target_of
from mtl_cli.config.source_text import source_class, text_of
from mtl_cli.schedules.base import Schedule
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.base import Weighting

BASES = {
    "weightings": Weighting, "sharing": Sharing, "schedules": Schedule, "backbones": Backbone, "tasks": Task
}  # fmt: skip


@pytest.mark.parametrize("folder", BASES)
def test_sources_say_of_every_component_what_the_classes_say(folder):
    found = [cls for cls in components_on_hand(BASES[folder], f"mtl_cli.{folder}") if cls.__module__.startswith("mtl_")]
    assert len(found) > 3
    for cls in found:
        source = source_class(target_of(cls))
        assert source.text == text_of(inspect.getdoc(cls)) != ""
        own = {each.__name__ for each in cls.__mro__ if each.__module__.startswith("mtl_cli")}
        assert own <= set(source.ancestors)
        attributes = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
        assert list(facts(source.ancestors, source.constants)) == list(
            facts([each.__name__ for each in cls.__mro__], attributes)
        )


def test_what_has_no_source_here_is_not_found(tmp_path):
    (tmp_path / "broken.py").write_text("class A(:\n")
    for target in ("torch.optim.SGD", "mtl_cli.weightings.pcgrad.Nope", "nowhere.A", "A", "", "../x.A", "broken.A"):
        assert source_class(target, [tmp_path]) is None


def test_a_docstring_is_kept_up_to_its_arguments_and_errors():
    assert (
        text_of("One.\n\n    Two.\n\n    Args:\n        x: three.\n\n    Raises:\n        E: four.\n") == "One.\n\nTwo."
    )
