import csv
import json
import math
import shlex
from pathlib import Path

import pytest

from mtl_cli import cli
from mtl_cli.commands.search.options import SearchOptions
from mtl_cli.commands.search.plan import as_typed
from mtl_cli.errors import Interrupted, RunFailure
from tests._stub_run import install

WEIGHT = "tasks.letters.weight=interval(0.1,10)"
LEARNED = ["-m", "search=tpe", "search.log=true", WEIGHT, "hydra.sweep.dir=found"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A stub in the place of mtl_cli.runs.run; the score is best where the letters' weight is 2."""
    monkeypatch.chdir(tmp_path)
    stub = install(monkeypatch)
    stub.score = lambda config: 1.0 - abs(math.log10(config["tasks"]["letters"]["weight"] / 2))
    return stub


def rows():
    with Path("found/summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def found():
    return json.loads(Path("found/search.json").read_text())


def weights(run):
    return [config["tasks"]["letters"]["weight"] for config, _ in run.trained]


def test_each_trial_is_a_run_of_the_sweeps_directory_and_the_best_one_wins(run):
    assert cli.main([*LEARNED, "search.trials=6"]) == 0
    assert len(weights(run)) == len(rows()) == 6
    assert {path.parent for _, path in run.trained} == {Path("found")}
    assert all(0.1 <= weight <= 10 for weight in weights(run))
    best = min(weights(run), key=lambda weight: abs(math.log(weight / 2)))
    winner = found()["winner"]
    assert (
        winner["overrides"]
        == {"tasks.letters.weight": repr(best)}
        == {"tasks.letters.weight": rows()[0]["tasks.letters.weight"]}
    )
    assert (Path("found") / winner["runs"][0] / "status.json").exists()


def test_each_trial_says_how_long_the_others_will_take(run, capsys):
    assert cli.main([*LEARNED, "search.trials=3"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Trial ")]
    assert lines[0].startswith("Trial 1 of 3: tasks.letters.weight=")
    assert [" left: tasks.letters.weight=" in line for line in lines[:3]] == [False, True, True]


def test_the_same_command_goes_on_with_more_trials_and_repeats_none(run):
    assert cli.main([*LEARNED, "search.trials=3"]) == 0
    first = weights(run)
    assert cli.main([*LEARNED, "search.trials=3"]) == 0
    assert weights(run) == first
    assert cli.main([*LEARNED, "search.trials=5"]) == 0
    assert weights(run)[:3] == first
    assert len(weights(run)) == 5


@pytest.mark.slow
def test_a_stopped_search_goes_on_as_if_it_had_not_been(run, monkeypatch, tmp_path):
    assert cli.main([*LEARNED, "search.trials=4"]) == 0
    whole = weights(run)
    run.trained.clear()
    (tmp_path / "found").rename(tmp_path / "whole")

    def stop(config, directory):
        if len(run.trained) in (2, 4):
            run.start(config, directory, "interrupted")
            raise Interrupted(143, "stopped")

    run.on_train = stop
    codes = [cli.main([*LEARNED, "search.trials=4"]) for _ in range(3)]
    assert codes == [143, 143, 0]
    assert list(dict.fromkeys(weights(run))) == whole


def test_a_grid_has_every_point_once(run):
    words = ["-m", "search=grid", "search.points=3", "search.log=true", WEIGHT, "seed=0,1", "hydra.sweep.dir=found"]
    assert cli.main(words) == 0
    assert [(config["tasks"]["letters"]["weight"], config["seed"]) for config, _ in run.trained] == [
        (0.1, 0), (0.1, 1), (1.0, 0), (1.0, 1), (10.0, 0), (10.0, 1),
    ]  # fmt: skip


@pytest.mark.slow
def test_random_values_follow_from_the_seed_and_the_number_of_the_trial(run):
    words = [
        "-m",
        "search=random",
        "backbone.dropout=interval(0,0.5)",
        "trainer.max_epochs=range(1,9)",
        "optimizer=adam,sgd",
    ]
    assert cli.main([*words, "search.trials=3", "hydra.sweep.dir=a"]) == 0
    first = [config for config, _ in run.trained]
    run.trained.clear()
    assert cli.main([*words, "search.trials=2", "hydra.sweep.dir=b"]) == 0
    assert [config for config, _ in run.trained] == first[:2]
    run.trained.clear()
    assert cli.main([*words, "search.trials=1", "hydra.sweep.dir=c", "search.seed=1"]) == 0
    assert [config for config, _ in run.trained] != first[:1]
    assert {config["optimizer"]["_target_"] for config in first} == {"torch.optim.Adam", "torch.optim.SGD"}


def test_scalarization_weighs_all_tasks_on_the_simplex_and_begins_with_equal_weights(run):
    words = ["-m", "task=mnist_digits+letters+fashion_mnist", "search=scalarization", "search.trials=4"]
    assert cli.main([*words, "hydra.sweep.dir=found"]) == 0
    found = [[node["weight"] for node in config["tasks"].values()] for config, _ in run.trained]
    assert found[0] == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert all(sum(each) == pytest.approx(1.0, abs=1e-5) and min(each) > 0 for each in found)
    assert len({tuple(each) for each in found}) == 4


@pytest.mark.slow
def test_hopeless_trials_are_stopped_and_say_why(run):
    run.scores = lambda config: [run.score(config) - 0.1 / epoch for epoch in range(1, 7)]
    assert cli.main([*LEARNED, "search.trials=9"]) == 0
    pruned = [row for row in rows() if row["status"] == "pruned"]
    assert pruned
    assert all("worse than the median" in row["reason"] for row in pruned)
    winner = found()["winner"]["overrides"]["tasks.letters.weight"]
    assert winner == repr(min(weights(run), key=lambda weight: abs(math.log(weight / 2))))
    assert cli.main([*LEARNED, "search.trials=9", "search.prune=false"]) == 2  # another search


def test_a_trial_without_a_score_fails_and_is_said_so(run, capsys):
    def fail(config, directory):
        if len(run.trained) == 2:
            run.start(config, directory, "failed")
            raise RunFailure("the loss of letters is nan at step 7")

    run.on_train = fail
    run.score = lambda config: math.nan if len(run.trained) == 3 else 0.5
    assert cli.main([*LEARNED, "search.trials=4"]) == 1
    text = capsys.readouterr().out
    assert "failed: the loss of letters is nan at step 7" in text
    assert "failed: its selection score is not a number" in text
    assert [each["state"] for each in found()["trials"]] == ["complete", "failed", "failed", "complete"]
    assert sorted(row["status"] for row in rows()) == ["completed", "completed", "failed", "failed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([WEIGHT], "is not a list of values"),  # an ordinary sweep
        (["search=tpe"], "has nothing to search"),
        (["search=scalarisation"], "Did you mean 'scalarization'?"),
        (["search.trials=3", WEIGHT], "search.trials= without search= would be ignored"),
        (["search=tpe", "search.trial=3", WEIGHT], "Did you mean 'trials'?"),
        (["search=tpe", "search.trials=0", WEIGHT], "search.trials is 0"),
        (["search=tpe", "search.folds=1", WEIGHT], "search.folds is 1"),
        (["search=tpe", "tasks.letter.weight=interval(1,2)"], "letter"),
        (["search=tpe", "tasks.letters.weight=interval(-1,1)"], "weight is -1"),
        (["search=tpe", "tasks.letters.weight=interval(2,1)"], "is not a range"),
        (["search=tpe", "search.log=true", "tasks.letters.weight=interval(0,1)"], "logarithmic scale"),
        (["search=tpe", "search.metric=letters", WEIGHT], "selection.metric is 'letters'"),
        (["search=tpe", "search.choose=preference", WEIGHT], "go together"),
        (["search=tpe", "search.choose=preference", "search.preference=[1]", WEIGHT], "1 weights for 2 tasks"),
        (["search=tpe", "search.choose=worst_task", "search.metric=letters/loss", WEIGHT], "the tasks' gains"),
        (["search=scalarization", WEIGHT], "looks for the weights of all tasks"),
        (["search=scalarization", "task=letters"], "there is only letters"),
        (["search=tpe", WEIGHT, "hydra/launcher=joblib"], "search.workers=2"),
        (["search=random", "search.points=3", WEIGHT], "Use search=grid"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_anything_is_made(run, tmp_path, capsys, words, message):
    assert cli.main(["-m", *words]) == 2
    assert message in capsys.readouterr().err
    assert run.trained == []
    assert list(tmp_path.iterdir()) == []


def test_a_search_without_m_is_refused(run, capsys):
    assert cli.main(["search=tpe", WEIGHT]) == 2
    assert "Add -m" in capsys.readouterr().err


def test_the_storage_of_another_search_is_refused(run, capsys):
    assert cli.main([*LEARNED, "search.trials=1"]) == 0
    assert cli.main([*LEARNED, "search.trials=1", "seed=3"]) == 2
    assert "found holds another search: search=tpe" in capsys.readouterr().err
    Path("found/search.db").write_text("no database")
    assert cli.main([*LEARNED, "search.trials=1"]) == 2
    assert "is not the storage of a search" in capsys.readouterr().err


@pytest.mark.slow
def test_the_commands_of_the_readme_are_searches(run, monkeypatch, tmp_path):
    page = (Path(__file__).parents[3] / "mtl_cli" / "commands" / "search" / "README.md").read_text(encoding="utf-8")
    commands = [shlex.split(line, comments=True) for line in page.splitlines() if line.startswith("mtl-train -m")]
    assert len(commands) > 3
    for number, words in enumerate(commands):
        own = [word for word in words[1:] if not word.startswith(("search.trials", "hydra.sweep.dir"))]
        assert cli.main([*own, "search.trials=1", f"hydra.sweep.dir={number}"]) == 0


FOLDED = [*LEARNED, "search.folds=3", "search.trials=2"]


def test_every_candidate_is_the_mean_over_folds_of_training_and_validation_rows(run):
    run.score = lambda config: config["tasks"]["letters"]["weight"] + config["data"]["inner_fold"]
    assert cli.main(FOLDED) == 0
    assert [config["data"]["inner_fold"] for config, _ in run.trained] == [0, 1, 2, 0, 1, 2]
    assert {config["data"]["inner_folds"] for config, _ in run.trained} == {3}
    scores = [each["score"] for each in found()["trials"]]
    assert scores == pytest.approx([weight + 1 for weight in weights(run)[::3]])
    assert len(found()["winner"]["runs"]) == 3
    assert len(rows()) == 6


@pytest.mark.slow
def test_the_winner_is_trained_on_all_rows_that_are_not_tested(run, capsys):
    assert cli.main([*FOLDED, "search.retrain=true", "early_stopping.patience=2"]) == 0
    (config, directory) = run.trained[-1]
    assert (config["data"]["train_on"], config["data"]["inner_folds"]) == ("train+val", None)
    assert config["selection"]["metric"] == "last"
    assert repr(config["tasks"]["letters"]["weight"]) == found()["winner"]["overrides"]["tasks.letters.weight"]
    assert found()["retrained"] == directory.name
    assert len(run.trained) == 7
    assert cli.main([*FOLDED, "search.retrain=true", "early_stopping.patience=2"]) == 0
    assert len(run.trained) == 7
    assert cli.main([*FOLDED, "search.retrain=true", "data.train_on=train+val"]) == 2
    assert "set data.train_on themselves" in capsys.readouterr().err


def test_ranges_may_stand_in_an_experiment(run, tmp_path):
    (tmp_path / "my_conf" / "experiment").mkdir(parents=True)
    (tmp_path / "my_conf" / "experiment" / "weights.yaml").write_text(
        "# @package _global_\nhydra: {sweeper: {params: {tasks.letters.weight: 'interval(1,2)'}}}\n"
    )
    words = ["-m", "--config-dir", "my_conf", "experiment=weights", "search=random", "search.trials=2"]
    assert cli.main([*words, "hydra.sweep.dir=found"]) == 0
    assert all(1 <= weight <= 2 for weight in weights(run))
    assert len(set(weights(run))) == 2


def test_help_explains_the_search(capsys):
    assert cli.main(["--help", "search"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("search=grid|random|tpe|scalarization")
    assert "search.trials=null" in text
    assert cli.main(["--help", "search.choose"]) == 0
    assert "mean_gain, worst_task, preference" in capsys.readouterr().out
    assert cli.main(["--help", "search.trial"]) == 2
    assert "Did you mean 'trials'?" in capsys.readouterr().err


def test_problems_of_runs_name_the_keys_that_were_typed():
    problem = "data.inner_folds is 9, selection.metric is a/b. Use data.inner_folds=5."
    folded = SearchOptions("tpe", folds=9)
    assert as_typed(problem, folded) == "search.folds is 9, selection.metric is a/b. Use search.folds=5."
    assert as_typed(problem, SearchOptions("tpe", metric="a/b")).startswith("data.inner_folds is 9, search.metric is")
