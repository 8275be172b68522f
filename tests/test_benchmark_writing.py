"""The bare loop that written texts are measured against computes what a run computes, on the same rows."""

import benchmark_writing as benchmark
import torch
from torch.nn import functional as F


def test_the_bare_model_has_the_loss_of_the_run_and_its_step_changes_the_weights(tmp_path):
    benchmark.write_pairs(tmp_path, rows=200)
    job, _ = benchmark.job_on(tmp_path, ["trainer.precision=fp32", "data.batch_size=16"])
    (stream,) = job.train.values()
    [batch] = stream.batches(0)
    model, bare = job.learner.model.eval(), benchmark.BareWriter(job).eval()
    target = batch.targets["back"]
    wanted = torch.where(target < 0, 0, target)
    with torch.no_grad():
        ours = job.tasks["back"].loss(model(batch.inputs, ["back"], targets=batch.targets).outputs["back"], target)
        logits = bare(batch.inputs.values, F.pad(wanted[:, :-1], (1, 0), value=2))
    own = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=0)
    torch.testing.assert_close(own, ours, rtol=1e-5, atol=1e-5)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    benchmark.bare_writing_steps(job)(1)
    assert not all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
