import sys

import leaderboard
import pytest
from leaderboard_table import table

from mtl_cli.files import read_json

SMALL = (
    "backbone=mlp", "backbone.hidden=[4]", "trainer.max_steps=3", "trainer.max_epochs=null", "trainer.precision=fp32"
)  # fmt: skip
RATES = "0.001,0.01"


def words(output, jobs=1, methods="fixed,scalarization", rates=RATES):
    return [
        "leaderboard.py", "--sets", "multi_mnist", "--methods", methods, "--rates", rates, "--seeds", "0,1",
        "--jobs", str(jobs), "--output", str(output), *SMALL,
    ]  # fmt: skip


def chosen(monkeypatch, *args, **options):
    monkeypatch.setattr(sys, "argv", words(*args, **options))
    return leaderboard.read_arguments()


def test_a_set_or_a_method_that_does_not_exist_is_refused_before_any_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["leaderboard.py", "--sets", "mnist", "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        leaderboard.main()
    assert "digits_letters" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no method 'pcgard'"):
        leaderboard.plans_of("multi_mnist", chosen(monkeypatch, tmp_path / "out", methods="fixed,pcgard"))
    assert not (tmp_path / "out").exists()


def test_methods_get_what_they_need(monkeypatch, tmp_path):
    plans = leaderboard.plans_of("multi_mnist", chosen(monkeypatch, tmp_path, methods="pcgrad,pcd,mmoe,scalarization"))
    own = {plan.method: plan.words for plan in plans}
    assert {"weighting=pcgrad", "weighting.match_norm=sum"} <= set(own["pcgrad"])
    assert "weighting.primary=multi_mnist_left" in own["pcd"]
    assert "sharing=mmoe" in own["mmoe"]
    assert not any(word.startswith(("weighting", "sharing")) for word in own["scalarization"])


def test_the_rate_with_the_best_mean_over_both_seeds_is_taken_and_one_that_failed_once_is_not(monkeypatch, tmp_path):
    (plan,) = leaderboard.plans_of("multi_mnist", chosen(monkeypatch, tmp_path, methods="fixed", rates="1,2,3"))
    scores = {1000: {"1": 0.5, "2": 0.9, "3": 0.95}, 1001: {"1": 0.6, "2": 0.3}}
    for seed, own in scores.items():
        (plan.folder / f"rates_{seed}").mkdir(parents=True)
        lines = [f"{rate},{score}\n" for rate, score in own.items()]
        (plan.folder / f"rates_{seed}" / "pareto.csv").write_text("optimizer.lr,score\n" + "".join(lines))
    assert plan.best_rate((1000, 1001)) == ["optimizer.lr=2"]
    assert plan.best_rate((1000,)) == ["optimizer.lr=3"]


@pytest.mark.slow
def test_a_board_is_the_same_byte_for_byte_with_equal_budgets_and_goes_on(monkeypatch, tmp_path):
    boards = [tmp_path / "one", tmp_path / "two"]
    for jobs, board in enumerate(boards, start=1):
        monkeypatch.setattr(sys, "argv", words(board, jobs))
        leaderboard.main()
    for ending in ("md", "csv"):
        first, second = ((board / f"multi_mnist.{ending}").read_bytes() for board in boards)
        assert first == second
    for method in ("fixed", "scalarization"):
        folder = boards[0] / "multi_mnist" / method
        runs = [path.parent for path in folder.glob("[rw]*/*/summary.json")]
        configs = {(path / "config.yaml").read_text() for path in runs}
        assert len(configs) == 4  # two runs per rate
        assert not any(read_json(path / "summary.json").get("test") for path in runs)
        assert len(list(folder.glob("final/*/summary.json"))) == 2
    lines = table({method: boards[0] / "multi_mnist" / method / "final" for method in ("fixed", "scalarization")})
    assert {line[0] for line in lines[1:]} == {"fixed", "scalarization"}
    done = {path: path.stat().st_mtime_ns for path in boards[0].rglob("summary.json")}
    monkeypatch.setattr(sys, "argv", words(boards[0]))
    leaderboard.main()
    assert {path: path.stat().st_mtime_ns for path in boards[0].rglob("summary.json")} == done
