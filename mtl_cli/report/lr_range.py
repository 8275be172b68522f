"""The figure of a learning-rate range test."""

from pathlib import Path

from mtl_cli.report.drawing import GRID, INK, MUTED, Line, new_figure, write
from mtl_cli.report.shown import COLOURS


def draw_lr_range(path: Path, line: Line, chosen: float) -> None:
    """Draw the smoothed loss over learning rates, and the rate that is proposed.

    Raises:
        RunFailure: the file cannot be written.
    """
    rates, losses = line
    figure, (axis,) = new_figure(6.5, 3.6)
    fall = max(losses[0] - min(losses), 1e-12)
    axis.plot(rates, losses, color=COLOURS[0], linewidth=1.6)
    axis.axvline(chosen, color=COLOURS[1], linestyle="--", linewidth=1.2)
    note = f"steepest: {chosen:.2g}"
    place = (chosen, losses[0] + 0.6 * fall)
    axis.annotate(note, place, xytext=(5, -2), textcoords="offset points", va="top", fontsize=8, color=INK)
    axis.set_ylim(min(losses) - 0.1 * fall, losses[0] + 0.6 * fall)  # not up to where it explodes
    axis.set_xscale("log")
    axis.set_xlabel("learning rate, rising from step to step", color=MUTED, fontsize=9)
    axis.set_ylabel("weighted sum of losses, smoothed", color=MUTED, fontsize=9)
    axis.grid(color=GRID, linewidth=0.6)
    figure.suptitle("learning-rate range test", fontsize=9, color=MUTED)
    write(figure, path)
