import csv

import pytest
import torch
from scipy import stats

import mtl_cli
from mtl_cli import cli
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.runs.build import build
from mtl_cli.training.selection import evaluate_split
from tests import _toy
from tests.runs.test_resume_every import advance
from tests.weightings._conflict import conflict
from tests.weightings._inputs import TinyStep, make, net, positive_losses, task_names

TRUST = Trust(("tests",))


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_equals_the_weighted_sum_less_the_cosine(num_tasks, penalty):
    weighting, losses = make("preference", num_tasks, penalty=penalty), positive_losses(num_tasks)
    parts = [max(float(part), 1e-3) for part in weighting.draw()]
    rays = [1 / part for part in parts]
    product = sum(ray * float(loss) for ray, loss in zip(rays, losses, strict=True))
    length = sum(ray**2 for ray in rays) ** 0.5  # the norm of the losses cancels
    wanted = sum(float(part) * float(loss) for part, loss in zip(weighting.draw(), losses, strict=True))
    assert float(weighting(losses, torch.arange(num_tasks))) == pytest.approx(wanted - penalty * product / length, 1e-5)


@pytest.mark.parametrize(("num_tasks", "alpha"), [(2, 1.2), (3, 0.5), (4, 5.0)])
def test_preferences_are_dirichlet(num_tasks, alpha):
    weighting, drawn = make("preference", num_tasks, alpha=alpha), []
    for index in range(2000):
        weighting.at = (0, index)
        drawn.append(weighting.draw())
    parts = torch.stack(drawn)
    assert torch.allclose(parts.sum(dim=1), torch.ones(2000))
    for column in parts.T:  # the marginals of a symmetric Dirichlet distribution are Beta(α, (T − 1)α)
        assert stats.kstest(column.numpy(), "beta", (alpha, (num_tasks - 1) * alpha)).pvalue > 1e-3
    wanted = stats.dirichlet([alpha] * num_tasks).cov()[0, 1]
    assert float(torch.cov(parts.T)[0, 1]) == pytest.approx(wanted, rel=0.2)


def test_a_preference_is_a_function_of_seed_and_step():
    weighting, draws = make("preference", 3), []
    for at in ((0, 0), (0, 0), (0, 1), (1, 0)):
        weighting.at = at
        draws.append(weighting.draw())
    assert torch.equal(draws[0], draws[1])
    assert not torch.allclose(draws[0], draws[2])
    assert not torch.allclose(draws[0], draws[3])


def test_the_network_is_given_what_the_losses_are_weighted_with():
    weighting = make("preference", 3, penalty=0.0)
    step = TinyStep(net(3), task_names(3), index=4)
    weights = weighting.backward(step)
    assert torch.allclose(torch.stack(list(weights.values())), step.notes["condition"])


def with_preference(job, parts):
    for film in job.learner.model.conditioner.films:
        film.fixed.copy_(torch.tensor(parts))
    results = evaluate_split(job, job.val)
    return [results[task].loss for task in ("first", "second")]


def front_of(job, number=11):
    """Return the losses [number, 2] under preferences from one task to the other."""
    steps = [index / (number - 1) for index in range(number)]
    return torch.tensor([with_preference(job, [step, 1 - step]) for step in steps])


def hypervolume(points, reference=1.0):
    """Return the area that points [N, 2] dominate below the reference in both losses."""
    area, lowest = 0.0, reference
    for first, second in sorted(points.tolist()):
        if first < reference and second < lowest:
            area += (reference - first) * (lowest - second)
            lowest = second
    return area


def trained(**weighting):
    job = build(resolve(conflict(40, **weighting)), TRUST).job
    return advance(job, job.total_steps)


def test_a_larger_part_gives_a_smaller_loss_and_one_run_covers_the_front():
    losses = front_of(trained())
    inner = losses[1:-1]  # few draws are near a corner
    assert stats.spearmanr(range(9), inner[:, 0]).statistic < -0.9
    assert stats.spearmanr(range(9), inner[:, 1]).statistic > 0.9
    assert losses[1, 1] < 0.2 < 0.8 < losses[1, 0]
    assert losses[-2, 0] < 0.2 < 0.8 < losses[-2, 1]
    ideal = torch.tensor([[k / 10, 1 - k / 10] for k in range(11)])  # of a weighted sum alone the corners are best
    assert hypervolume(losses) > 0.5 * hypervolume(ideal)


@pytest.mark.slow
def test_a_larger_penalty_covers_a_front_on_which_weighted_sums_are_best_at_its_ends():
    ideal = torch.tensor([[k / 10, 1 - k / 10] for k in range(11)])  # of a linear layer of one unit
    weak, strong = (hypervolume(front_of(trained(penalty=penalty))) for penalty in (0.1, 3.0))
    assert strong > 1.1 * hypervolume(ideal) > 1.4 * weak


def test_the_pull_of_the_cosine_does_not_depend_on_the_size_of_the_losses():
    def pull(scale):
        losses = (scale * positive_losses(3)).requires_grad_()
        one, none = (make("preference", 3, penalty=penalty)(losses, torch.arange(3)) for penalty in (1.0, 0.0))
        return torch.autograd.grad(one - none, losses)[0]

    assert torch.allclose(pull(1.0), pull(0.01), rtol=1e-4)


def test_a_network_that_is_not_told_the_preference_learns_no_front():
    job = build(resolve(conflict(40)), TRUST).job
    job.learner.model.conditioner.condition = lambda vector: None
    losses = front_of(advance(job, job.total_steps))
    assert float((losses.max(dim=0).values - losses.min(dim=0).values).max()) < 0.2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preference")
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y", "first", "second"])
        for x, y in torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).tolist():
            writer.writerow([x, y, 2 * x, 3 * y])
    words = [f"input={folder / 'rows.csv'}", "target=[first,second]", f"output={folder / 'conf'}"]
    assert cli.main_init(words) == 0
    words = [
        "--config-dir", str(folder / "conf"), "task=first+second", "weighting=preference", "backbone=mlp",
        "backbone.hidden=[8,1]",
        "trainer.max_epochs=3", f"hydra.run.dir={folder / 'run'}", "quiet=true",
    ]  # fmt: skip
    assert cli.main(words) == 0
    return folder


def test_evaluation_and_prediction_take_a_preference(run):
    def found(**words):
        return mtl_cli.evaluate(run / "run", overrides=words)

    usual, even = found(), found(preference=[0.5, 0.5])
    assert even["metrics"] == usual["metrics"]
    other = found(preference=[0.9, 0.1])
    assert other["metrics"] != usual["metrics"]
    assert found(**{"weighting.preference": [0.9, 0.1]})["metrics"] == other["metrics"]
    assert other["preference"] == pytest.approx([0.9, 0.1])
    texts = []
    for preference in ("[0.9,0.1]", "[0.1,0.9]"):
        words = [f"checkpoint={run / 'run'}", f"input={run / 'rows.csv'}", f"output={run / 'out.csv'}", "quiet=true"]
        assert cli.main_predict([*words, "tasks=[first]", f"preference={preference}"]) == 0
        texts.append((run / "out.csv").read_text())
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("[0.3,0.6]", "weighting.preference=[0.333333,0.666667]"),
        ("[1,-1]", "weighting.preference=[1,0]"),
        ("[0,0]", "weighting.preference=null"),
        ("[0.2,0.3,0.5]", "weighting.preference=[0.5,0.5]"),
        ("[]", "weighting.preference=null"),
    ],
)
def test_what_is_not_a_preference_is_refused_with_one_that_works(run, given, advice, capsys):
    words = [f"checkpoint={run / 'run'}", "bootstrap=0", "quiet=true"]
    assert cli.main_eval([*words, f"preference={given}"]) == 2
    assert advice in capsys.readouterr().err
    assert cli.main_eval([*words, advice]) == 0


def test_a_preference_fits_no_other_weighting_no_calibration_and_no_bundle_of_torch(run, tmp_path, capsys):
    words = [f"checkpoint={run / 'run'}", "preference=[0.9,0.1]"]
    assert cli.main_eval([*words, "calibrate=true"]) == 2
    assert "Leave out preference=" in capsys.readouterr().err
    assert cli.main_export([*words, f"output={tmp_path / 'bundle'}"]) == 2
    assert "format=onnx" in capsys.readouterr().err
    with pytest.raises(UserError, match="only runs of weighting=preference"):
        mtl_cli.config.run_config.override(_toy.config(), {"preference": [0.5, 0.5]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": {"sign": _toy.task("sign")}}, "needs 2 tasks or more"),
        ({"trainer__compile": True}, "trainer.compile=false"),
        ({"weighting__alpha": 0.0}, "weighting.alpha must be positive"),
        ({"weighting__penalty": -1.0}, "weighting.penalty must be at least 0"),
        ({"weighting__preference": [1.0]}, "weighting.preference=[0.5,0.5], in this order"),
    ],
)
def test_settings_that_do_not_work_are_refused(changes, message):
    config = _toy.config(weighting=_toy.option("weighting", "preference"))
    for key, value in changes.items():
        *path, last = key.split("__")
        node = config
        for part in path:
            node = node[part]
        node[last] = value
    with pytest.raises(UserError) as caught:
        build(resolve(config), TRUST)
    assert message in str(caught.value)


def test_a_task_that_is_not_trained_has_no_part():
    tasks = {"quadrant": _toy.task("quadrant"), "sign": _toy.task("sign"), "more": _toy.task("sign", weight=0.0)}
    weighting = {**_toy.option("weighting", "preference"), "preference": [0.25, 0.75]}
    job = build(resolve(_toy.config(tasks=tasks, weighting=weighting)), TRUST).job
    assert job.learner.model.conditioner.films[0].fixed.tolist() == [0.25, 0.75]
    assert "more" in evaluate_split(job, job.val)
