import io
import logging
import sys

import pytest

from mtl_cli.report import progress
from mtl_cli.report.progress import Progressbar, shown


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when they are told to."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def screen(monkeypatch):
    def make(terminal):
        stream = Screen(terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return make


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="mtl_cli")
    return caplog


def test_a_log_file_gets_a_line_now_and_then_and_no_bar(clock, screen, lines):
    stream = screen(terminal=False)
    bar = Progressbar(total=100, done=40, samples=4000, quiet=False)
    bar.show({"digits": 0.25, "letters": 1.5})
    for step in range(1, 21):  # 2 s a step
        clock[0] += 2.0
        bar.advance(4000 + 100 * step)
    bar.close()
    assert stream.getvalue() == ""
    assert lines.messages == [
        "step 48/100  digits 0.2500  letters 1.5000  50 samples/s  1 min 44 s left",
        "step 56/100  digits 0.2500  letters 1.5000  50 samples/s  1 min 28 s left",
    ]


def test_a_terminal_gets_a_bar_with_losses_and_rate_and_no_lines(clock, screen, lines):
    stream = screen(terminal=True)
    bar = Progressbar(total=10, done=4, samples=0, quiet=False)
    clock[0] += 2.0
    bar.advance(300)
    bar.show({"digits": 0.25})
    clock[0] += 100.0
    bar.bar.refresh()
    text = stream.getvalue()
    bar.close()
    assert "5/10" in text
    assert "digits 0.2500" in text
    assert "150 samples/s" in text
    assert lines.messages == []


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(clock, screen, lines, terminal):
    stream = screen(terminal)
    bar = Progressbar(total=10, done=0, samples=0, quiet=True)
    for step in range(10):
        clock[0] += 60.0
        bar.advance(step)
        bar.show({"digits": 1.0})
    bar.close()
    assert stream.getvalue() == ""
    assert lines.messages == []


def test_the_rate_counts_this_process_only(clock, screen):
    screen(terminal=False)
    bar = Progressbar(total=10, done=5, samples=1_000_000, quiet=False)
    clock[0] += 4.0
    bar.advance(1_000_800)
    assert bar.rate() == "200 samples/s"
    bar.close()


def test_of_many_tasks_the_mean_the_highest_and_the_lowest_loss_are_shown():
    losses = {f"t{number}": float(number) for number in range(9)}
    assert shown(losses) == "mean of 9 4.0000  highest t8 8.0000  lowest t0 0.0000"
    del losses["t8"]
    assert shown(losses).count("t") == 8
