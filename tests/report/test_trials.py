import pytest

from mtl_cli.report.trials import ShownTrial, trials_figure


def panels(values, scores, winner, complete=None):
    trials = [
        ShownTrial(number, {"key": value}, score, complete is None or number in complete)
        for number, (value, score) in enumerate(zip(values, scores, strict=True))
    ]
    figure = trials_figure(trials, winner, "score")
    figure.canvas.draw()
    order, key = [axis for axis in figure.axes if axis.get_visible()]
    return order, key


def test_each_trial_is_drawn_once_and_the_best_so_far_counts_complete_ones():
    order, key = panels(["1", "2", "3", "4"], [0.2, 0.9, 0.3, 0.1], 2, complete={0, 2, 3})
    stopped, complete, winner, best = (line.get_xydata().tolist() for line in order.lines)
    assert (stopped, complete, winner) == ([[1, 0.9]], [[0, 0.2], [3, 0.1]], [[2, 0.3]])
    assert best == [[0, 0.2], [1, 0.2], [2, 0.3], [3, 0.3]]
    assert [line.get_xydata().tolist() for line in key.lines] == [[[2, 0.9]], [[1, 0.2], [4, 0.1]], [[3, 0.3]]]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (["0.1", "0.3", "1", "3", "10"], "log"),
        (["0.003", "0.5", "0.4", "0.99"], "linear"),
        (["-1", "1", "100"], "linear"),
    ],
)
def test_an_axis_is_logarithmic_where_most_values_are_small(values, scale):
    assert panels(values, [0.5] * len(values), 0)[1].get_xscale() == scale


def test_values_that_are_not_numbers_stand_side_by_side():
    _, key = panels(["adam", "sgd", "adam"], [0.1, 0.2, 0.3], 2)
    assert [label.get_text() for label in key.get_xticklabels()] == ["adam", "sgd"]
    assert [line.get_xydata().tolist() for line in key.lines] == [[[0, 0.1], [1, 0.2]], [[0, 0.3]]]
