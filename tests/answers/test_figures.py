from mtl_cli.answers.figures import curves_figure
from mtl_cli.answers.runs import find_runs
from mtl_cli.answers.settings import primaries, settings_of
from tests.answers._runs import write


def test_the_trivial_predictor_is_drawn_for_tasks_that_the_first_setting_does_not_have(tmp_path):
    write(tmp_path / "alone", {"a/accuracy": 0.5}, tasks=("a",))
    write(tmp_path / "both", {"a/accuracy": 0.6, "b/accuracy": 0.7})
    settings, _ = settings_of(find_runs([tmp_path]))
    assert settings[0].tasks == ("a",)
    figure = curves_figure(settings, "metrics", primaries(settings), "validation")
    levels = [[line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--"] for axis in figure.axes[:2]]
    assert len(figure.axes) == 2
    assert levels == [[0.25], [0.25]]
