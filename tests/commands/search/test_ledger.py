"""The engine alone: what is proposed and pruned, on objectives that cost nothing."""

import math

import pytest
from optuna.study import Study
from optuna.trial import Trial

from mtl_cli.commands.search.ledger import Ledger
from mtl_cli.commands.search.samplers import make_pruner, make_sampler
from mtl_cli.commands.search.space import Choice, Interval, Simplex, Space

SPACE = Space((Interval("x", 0.01, 100.0, log=True), Interval("y", 0.0, 1.0)), ())
EPOCHS = 6


class Killed(BaseException):
    """Stands for a SIGKILL: nothing that follows in the process happens."""


def ledger(folder, kind="tpe", prune=True, given=()):
    return Ledger(folder, "id", ["words"], make_sampler(kind, 0, given), make_pruner(prune))


def planted(point):
    """An objective whose best value, 1, is at x = 3 and y = 0.7."""
    return 1.0 - (math.log10(point["x"] / 3.0) / 2) ** 2 - (point["y"] - 0.7) ** 2


def work(book, trials, cost=None):
    """Work at trials whose score at an epoch lacks 0.2 / epoch of the last one; return the points in order."""
    points = []
    while True:
        with book.take(SPACE.coordinates, trials) as taken:
            if taken is None:
                return points
            points.append(dict(taken.point))
            for epoch in range(1, EPOCHS + 1):
                if cost is not None:
                    cost.append(epoch)
                score = planted(taken.point) - 0.2 / epoch
                reason = taken.hopeless(epoch, score)
                if reason and epoch < EPOCHS:
                    taken.pruned(reason)
                    break
            else:
                taken.complete(score)


@pytest.mark.slow
def test_tpe_with_pruning_finds_a_planted_optimum_at_two_fifths_of_the_cost_of_a_grid(tmp_path):
    grid = SPACE.grid(8)
    best_of_grid = max(planted(point) for point in grid)
    cost = []
    points = work(ledger(tmp_path), 24, cost)
    assert len(cost) <= 0.4 * len(grid) * EPOCHS
    assert max(map(planted, points)) >= best_of_grid
    entries = ledger(tmp_path).entries
    assert {entry.state for entry in entries} == {"complete", "pruned"}
    assert max((entry.score, entry.number) for entry in entries if entry.state == "complete")[1] == max(
        range(24), key=lambda number: planted(points[number])
    )


@pytest.mark.parametrize(
    "every", [26, pytest.param(7, marks=pytest.mark.slow), pytest.param(61, marks=pytest.mark.slow)]
)
def test_a_search_that_is_killed_anywhere_proposes_what_an_undisturbed_one_does(tmp_path, monkeypatch, every):
    """A kill is an exception in the middle of a call to the storage; the ledger is then opened anew."""
    whole = work(ledger(tmp_path / "whole"), 14)
    wanted = [(entry.state, entry.score, entry.point) for entry in ledger(tmp_path / "whole").entries]
    calls = [0]

    def killing(method):
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] % every == 0:
                raise Killed
            return method(*args, **kwargs)

        return call

    for owner, name in (
        (Trial, "_suggest"),
        (Trial, "report"),
        (Study, "tell"),
        (Study, "ask"),
        (Trial, "set_user_attr"),
    ):
        monkeypatch.setattr(owner, name, killing(getattr(owner, name)))
    kills, done = 0, False
    while not done:
        book = ledger(tmp_path / "killed")
        try:
            work(book, 14)
            done = True
        except Killed:
            kills += 1
    assert kills > 1
    assert [(entry.state, entry.score, entry.point) for entry in ledger(tmp_path / "killed").entries] == wanted
    assert [entry[2] for entry in wanted] == whole


def test_two_processes_share_the_trials_of_one_storage(tmp_path):
    one, other = ledger(tmp_path), ledger(tmp_path)
    with one.take(SPACE.coordinates, 3) as first, other.take(SPACE.coordinates, 3) as second:
        assert (first.number, second.number) == (0, 1)
        with one.take(SPACE.coordinates, 2) as none:
            assert none is None
        first.complete(0.5)
    with one.take(SPACE.coordinates, 3) as again:  # the other process left it
        assert again.number == 1
        assert again.point == second.point
        again.failed("why")
    assert [(entry.state, entry.reason) for entry in other.entries] == [("complete", ""), ("failed", "why")]


def test_weights_that_are_drawn_uniformly_are_uniform_on_the_simplex():
    axis = Simplex(("a", "b", "c"))
    found = [[float(text) for text in axis.values(point).values()] for point in axis.grid(41)]
    assert all(sum(each) == pytest.approx(1.0, abs=1e-5) for each in found)
    means = [sum(each[k] for each in found) / len(found) for k in range(3)]
    assert means == pytest.approx([1 / 3] * 3, abs=0.01)  # those of Dirichlet(1, 1, 1)
    seconds = [sum(each[k] ** 2 for each in found) / len(found) for k in range(3)]
    assert seconds == pytest.approx([1 / 6] * 3, abs=0.01)  # E w² = 2 / (3 · 4)
    assert [float(text) for text in axis.values(axis.equal).values()] == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_points_become_overrides_within_their_range():
    assert Interval("k", 0.1, 10.0).values({"k": 0.12345678}) == {"k": "0.123457"}
    assert Interval("k", 0.1234561, 10.0).values({"k": 0.1234561}) == {"k": "0.1234561"}
    assert Interval("k", 1, 64, log=True).grid(4) == [{"k": 1}, {"k": 4}, {"k": 16}, {"k": 64}]
    assert Interval("k", 1, 3).grid(9) == [{"k": 1}, {"k": 2}, {"k": 3}]
    assert Choice("k", ("a", "b"), ordered=True).values({"k": 1}) == {"k": "b"}
