import struct

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mtl_cli.errors import RunFailure
from mtl_cli.report import drawing
from mtl_cli.report.confusion import confusion, confusion_figure
from mtl_cli.report.curves import BEST, TRIVIAL, curve_figures, curves, lowest, series, windowed

pytestmark = pytest.mark.usefixtures("figures")
LONG = ["setosa", "versicolor", "a class with a very long name indeed"]


def matrix(classes):
    stream = np.random.default_rng(classes)
    return (np.eye(classes, dtype=int) * 50 + stream.integers(0, 4, (classes, classes))).tolist()


def names(classes):
    return (
        LONG
        if classes == 3
        else [str(index) for index in range(10)]
        if classes == 10
        else [chr(97 + i) for i in range(classes)]
    )


def overlaps(figure):
    """Return pairs of texts that cover each other, and texts that leave the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    texts = [figure._suptitle] if figure._suptitle else []
    for axis in figure.axes:
        texts += [*axis.texts, axis.xaxis.label, axis.yaxis.label]
        for place, limits, labels in (
            (0, axis.get_xlim(), axis.get_xticklabels()),
            (1, axis.get_ylim(), axis.get_yticklabels(which="both")),
        ):  # ticks beyond the limits are not drawn
            texts += [text for text in labels if min(limits) <= text.get_position()[place] <= max(limits)]
    for legend in figure.legends:
        texts += legend.get_texts()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text() and text.get_visible()
    ]
    width, height = figure.get_size_inches() * figure.dpi
    bad = [name for name, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
    for index, (name, box) in enumerate(boxes):
        bad += [(name, other) for other, other_box in boxes[:index] if box.overlaps(other_box)]
    return bad


@pytest.mark.parametrize("classes", [2, 3, 10, 26])
def test_a_confusion_matrix_shows_every_count_name_and_share(classes):
    counts = matrix(classes)
    figure = confusion_figure("letters", "test", counts, names(classes))
    axis, bar = figure.axes
    drawn = {
        (round(text.get_position()[1]), round(text.get_position()[0])): int(text.get_text()) for text in axis.texts
    }
    assert drawn == {(r, c): counts[r][c] for r in range(classes) for c in range(classes) if counts[r][c]}
    expected = np.array(counts) / np.sum(counts, axis=1, keepdims=True)
    np.testing.assert_allclose(axis.images[0].get_array(), expected)
    shown = [text.get_text() for text in axis.get_xticklabels()]
    assert shown == [text.get_text() for text in axis.get_yticklabels()]
    assert len(set(shown)) == classes
    assert max(map(len, shown)) <= 18
    total = sum(map(sum, counts))
    right = sum(counts[index][index] for index in range(classes))
    assert figure._suptitle.get_text() == f"letters, test: accuracy {right / total:.4f}, {total} labels"
    assert bar.get_ylabel() == "share of the true class"
    assert overlaps(figure) == []


def test_a_long_title_and_large_counts_fit(tmp_path):
    counts = [[48864, 20235, 3], [8230, 47688, 12345], [1, 99999, 54321]]
    figure = confusion_figure("a_task_with_a_rather_long_name_indeed", "validation", counts, LONG)
    assert overlaps(figure) == []


def test_a_hundred_classes_name_some_and_number_none():
    figure = confusion_figure("many", "val", matrix(100), [f"class number {index}" for index in range(100)])
    axis = figure.axes[0]
    assert not axis.texts
    assert 20 <= len(axis.get_xticklabels()) <= 60
    assert axis.get_yticklabels()[1].get_text() == f"class number {int(axis.get_yticks()[1])}"
    assert overlaps(figure) == []


def test_a_class_that_never_occurs_is_an_empty_row():
    figure = confusion_figure("a", "test", [[3, 1], [0, 0]], ["x", "y"])
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert len(figure.axes[0].texts) == 2
    confusion_figure("a", "test", [[0, 0], [0, 0]], ["x", "y"])


@pytest.mark.parametrize("odd", [["$5 to $9", r"$\frac{1$"], ["<$50k", ">$50k"], ["日本", "_x"], ["", " "]])
def test_names_with_formula_signs_or_foreign_letters_are_drawn_as_they_are(tmp_path, odd):
    confusion(tmp_path / "c.png", "$a$_b", "test", [[3, 1], [1, 3]], odd)
    assert is_png(tmp_path / "c.png")


def is_png(path):
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[-12:-4] == b"\0\0\0\0IEND" and width > 200 and height > 200


def records(tasks=("digits", "letters"), steps=(10, 20, 30, 40), every=20):
    rows = []
    for step in steps:
        losses = {task: (index + 1) / step for index, task in enumerate(tasks)}
        rows.append({"kind": "train", "step": step, "losses": losses, "weights": dict.fromkeys(tasks, 1.0)})
        if step % every == 0:
            metrics = {f"{task}/{name}": 0.5 + step / 1000 for task in tasks for name in ("loss", "accuracy", "f1")}
            rows.append({"kind": "eval", "split": "val", "step": step, "metrics": metrics})
    rows.append({"kind": "eval", "split": "test", "step": steps[-1], "metrics": {f"{tasks[0]}/accuracy": 0.1}})
    return rows


def data(axis):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in curves_of(axis)]


def curves_of(axis):
    """Return the lines of a panel without the best step and trivial predictors."""
    return [line for line in axis.lines if line.get_gid() not in (BEST, TRIVIAL)]


def legend(figure):
    return [text.get_text().strip() for each in figure.legends for text in each.get_texts()]


def test_losses_show_training_as_lines_and_validation_as_dots():
    (axis,) = curve_figures(records())["losses"].axes
    steps = [10, 20, 30, 40]
    assert data(axis) == [
        (steps, [1 / step for step in steps]),
        (steps, [2 / step for step in steps]),
        ([20, 40], [0.52, 0.54]),
        ([20, 40], [0.52, 0.54]),
    ]
    assert axis.get_yscale() == "log"
    assert axis.lines[0].get_color() == axis.lines[2].get_color() != axis.lines[1].get_color()
    assert legend(axis.figure) == ["digits", "letters"]
    assert axis.figure.get_suptitle() == ("Losses: lines in training, markers on validation data; dashed: best step 40")


def test_a_loss_that_is_not_positive_is_drawn_on_a_linear_scale():
    rows = [{"kind": "train", "step": step, "losses": {"a": -0.5 + step}} for step in range(3)]
    assert curve_figures(rows)["losses"].axes[0].get_yscale() == "linear"


def test_each_metric_has_a_panel_with_a_line_a_task_from_validation_data_only():
    figure = curve_figures(records())["metrics"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["validation accuracy", "validation f1"]
    for axis in figure.axes:
        assert data(axis) == [([20, 40], [0.52, 0.54])] * 2
    assert legend(figure) == ["digits", "letters"]


def test_the_best_step_and_what_trivial_predictors_reach_are_drawn():
    figure = curve_figures(records(), {"digits/accuracy": 0.1, "digits/f1": float("nan")})["metrics"]
    accuracy, f1 = figure.axes
    lines = {line.get_gid(): (list(line.get_xdata()), list(line.get_ydata())) for line in accuracy.lines}
    assert lines[BEST][0] == [40, 40]
    assert lines[TRIVIAL][1] == [0.1, 0.1]
    assert TRIVIAL not in [line.get_gid() for line in f1.lines]
    assert legend(figure) == ["digits", "letters", "trivial predictor"]
    assert overlaps(figure) == []


def test_gradients_are_shown_as_means_over_windows():
    assert windowed((list(range(100)), [float(k % 2) for k in range(100)]), windows=25) == (
        [4 * k + 1.5 for k in range(25)],
        [0.5] * 25,
    )
    assert windowed(([1, 2], [0.0, 1.0])) == ([1.0, 2.0], [0.0, 1.0])


def test_a_missing_value_is_left_out_of_its_line():
    rows = [
        {"kind": "eval", "split": "val", "step": step, "metrics": {"a/auc": None if step == 2 else 0.5}}
        for step in (1, 2, 3)
    ]
    assert data(curve_figures(rows)["metrics"].axes[0]) == [([1, 3], [0.5, 0.5])]
    assert series(rows[1:2], "metrics") == {}


def test_weights_are_drawn_where_they_change():
    rows = records()
    assert "weights" not in curve_figures(rows)
    rows[0]["weights"]["letters"] = 2.0
    (axis,) = curve_figures(rows)["weights"].axes
    assert data(axis)[1] == ([10, 20, 30, 40], [2.0, 1.0, 1.0, 1.0])


def test_notes_of_gradient_methods_are_drawn():
    rows = records()
    for row in rows:
        if row["kind"] == "train":
            row["notes"] = {"cosine/digits/letters": -0.2, "conflicts": 1.0, "update_norm": 3.0}
    figures = curve_figures(rows)
    assert list(figures) == ["losses", "cosines", "conflicts", "update_norm", "metrics"]
    assert legend(figures["cosines"]) == ["digits · letters"]
    assert legend(figures["conflicts"]) == []
    assert data(figures["update_norm"].axes[0]) == [([10, 20, 30, 40], [3.0] * 4)]


def test_of_many_pairs_the_most_opposed_are_shown():
    lines = {f"cosine/a/{index}": ([1, 2], [index / 20, index / 20 - 0.1]) for index in range(12)}
    assert list(lowest(lines)) == [f"a · {index}" for index in range(8)]


@pytest.mark.parametrize("number", [1, 2, 8, 20])
def test_lines_of_many_tasks_can_be_told_apart_and_their_names_do_not_overlap(number):
    tasks = [f"income_of_person_{index}" for index in range(number)]
    for name, figure in curve_figures(records(tasks)).items():
        axis = figure.axes[0]
        looks = {(each.get_color(), each.get_linestyle()) for each in curves_of(axis) if each.get_linestyle() != "None"}
        assert len(looks) == number
        grey = {(line.get_linestyle(), line.get_marker()) for line in curves_of(axis)}
        assert len(grey) >= min(number, 8), "the first eight differ without their colours"
        assert legend(figure) == tasks
        assert overlaps(figure) == [], name


def test_of_very_many_tasks_the_mean_the_highest_and_the_lowest_are_drawn():
    tasks = [f"t{number}" for number in range(617)]
    records = []
    for step in (10, 20):
        losses = {task: number / step for number, task in enumerate(tasks)}
        records += [
            {"kind": "train", "step": step, "losses": losses},
            {"kind": "eval", "split": "val", "step": step, "metrics": {f"{task}/loss": 2.0 for task in tasks}},
        ]
    figure = curve_figures(records)["losses"]
    shown = {text.get_text().strip() for text in figure.legends[0].get_texts()}
    assert shown == {"mean of 617 tasks", "highest: t616", "lowest: t0"}
    lines = [line.get_ydata() for line in figure.axes[0].get_lines()]
    for expected in ([30.8, 15.4], [61.6, 30.8], [0.0, 0.0]):
        assert any(line == pytest.approx(expected) for line in lines)


def test_a_single_step_is_seen():
    figures = curve_figures(records(steps=(3,), every=3))
    for figure in figures.values():
        assert all(line.get_marker() not in ("", "None") for line in curves_of(figure.axes[0]))
        assert overlaps(figure) == []
        assert [tick for tick in figure.axes[0].get_xticks() if tick != int(tick)] == []


def test_files_are_png_images_of_the_figures(tmp_path):
    paths = curves(tmp_path, records())
    assert [path.name for path in paths] == ["losses.png", "metrics.png"]
    assert all(is_png(path) for path in paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    assert curves(tmp_path, []) == []
    confusion(tmp_path / "c.png", "letters", "test", matrix(26), names(26))
    assert is_png(tmp_path / "c.png")


def test_equal_records_draw_equal_bytes(tmp_path):
    (tmp_path / "x").mkdir()
    for first, second in zip(curves(tmp_path, records()), curves(tmp_path / "x", records()), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_file_that_cannot_be_written_is_a_run_failure(tmp_path):
    with pytest.raises(RunFailure, match="Cannot write"):
        confusion(tmp_path / "none" / "c.png", "a", "test", [[1]], ["x"])


def test_the_backend_needs_no_display():
    assert drawing.mpl.get_backend().lower() == "agg"
