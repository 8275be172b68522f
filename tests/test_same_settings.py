from same_settings import sweeps_of, wrong

from tests.answers._runs import run


def runs(values):
    return [run({"a/accuracy": value}, seed=number, tasks=("a",)) for number, value in enumerate(values)]


def test_runs_of_other_seeds_become_two_settings_that_are_paired():
    sweeps = sweeps_of(runs([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), seeds=2)
    assert len(sweeps) == 2
    assert [each.unit.seed for each in sweeps[1]] == [0, 1, 0, 1]
    assert [each.test["a/accuracy"] for each in sweeps[1]] == [0.5, 0.6, 0.7, 0.8]


def test_a_wrong_verdict_is_counted():
    (far,) = sweeps_of(runs([0.1, 0.102, 0.104, 0.101, 0.9, 0.903, 0.901, 0.906]), seeds=4)
    (near,) = sweeps_of(runs([0.1, 0.3, 0.2, 0.25, 0.22, 0.15, 0.27, 0.12]), seeds=4)
    assert (wrong(far), wrong(near)) == (True, False)
