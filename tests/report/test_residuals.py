import numpy as np

from mtl_cli.report.residuals import MAX_COLUMNS, residual_figure


def dots(axis):
    return axis.collections[0].get_offsets()


def test_panels_show_predictions_residuals_and_their_histogram_without_missing_numbers():
    true = np.array([[1.0], [2.0], [np.nan], [4.0]])
    predicted = np.array([[1.5], [2.0], [3.0], [3.0]])
    left, middle, right = residual_figure("y, test", predicted, true, ["y"]).axes
    assert dots(left).tolist() == [[1.0, 1.5], [2.0, 2.0], [4.0, 3.0]]
    assert dots(middle).tolist() == [[1.5, 0.5], [2.0, 0.0], [3.0, -1.0]]
    assert sum(bar.get_height() for bar in right.patches) == 3
    assert "mean -0.167" in right.get_title(loc="left")


def test_columns_have_a_row_each_up_to_a_number_and_no_labels_are_no_error():
    numbers = np.random.default_rng(0).normal(size=(20, 6))
    figure = residual_figure("y", numbers, numbers, [f"$column {i}$" for i in range(6)])
    assert len(figure.axes) == 3 * MAX_COLUMNS
    assert figure.axes[3].get_title(loc="left") == r"\$column 1\$"
    residual_figure("y", numbers, np.full_like(numbers, np.nan), [str(i) for i in range(6)])
