"""The bare loop that texts are measured against computes what a run computes, on the same rows."""

import benchmark_text as benchmark
import pytest
import torch


@pytest.mark.parametrize("name", ["gru", "text_cnn"])
def test_the_bare_model_gives_what_the_run_gives(tmp_path, name):
    benchmark.write_texts(tmp_path, rows=300)
    options = [f"tasks.{task}.dataset.{option}" for task in ("topic", "score") for option in benchmark.TABLE]
    job, _ = benchmark.job_on(tmp_path, [f"backbone={name}", "trainer.precision=fp32", *options])
    (stream,) = job.train.values()
    (batch,) = stream.batches(0)
    assert batch.inputs.values["numeric"].shape == (len(stream.order.rows(0)), 1)
    model, bare = job.learner.model.eval(), benchmark.BareText(job).eval()
    with torch.no_grad():
        wanted = model(batch.inputs, ["topic", "score"]).outputs
        found = bare(batch.inputs.values)
    torch.testing.assert_close(found[0], wanted["topic"], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[1], wanted["score"], rtol=0, atol=1e-5)


def test_a_bare_step_changes_the_weights(tmp_path):
    benchmark.write_texts(tmp_path, rows=300)
    job, _ = benchmark.job_on(tmp_path, ["backbone=text_cnn"])
    before = [parameter.detach().clone() for parameter in job.learner.model.parameters()]
    benchmark.bare_text_steps(job)(2)
    assert all(not torch.equal(*pair) for pair in zip(before, job.learner.model.parameters(), strict=True))
