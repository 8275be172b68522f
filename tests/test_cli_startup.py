"""What a command imports before it runs anything, looked at in fresh processes."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import contextlib, io, json, sys
from mtl_cli import cli
program = cli.main_eval if sys.argv[1] == "mtl-eval" else cli.main
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
    code = program(sys.argv[2:])
heavy = {"torch", "torchvision", "numpy", "hydra", "omegaconf"}
loaded = sorted({name.partition(".")[0] for name in sys.modules} & heavy)
print(json.dumps([code, loaded, out.getvalue(), err.getvalue()]))
"""


@pytest.mark.parametrize(
    ("command", "code", "loaded"),
    [
        (["mtl-train", "--help"], 0, []),
        (["mtl-train", "--help", "weighting=pcgrad"], 0, []),
        (["mtl-train", "--weighting", "pcgrad"], 2, []),
        (["mtl-eval", "checkpoint=nowhere"], 2, []),
        (["mtl-train", "--cfg", "job"], 0, ["hydra", "omegaconf"]),
        (["mtl-train", "task=mnist_digits+leters", "trainer.max_epoch=3"], 2, ["hydra", "omegaconf"]),
        (["mtl-train", "-m", "seed=0,-1"], 2, ["hydra", "omegaconf"]),
    ],
)
def test_torch_is_not_imported_before_a_run_starts(command, code, loaded, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    found_code, found, out, err = json.loads(done.stdout)
    assert (found_code, found) == (code, loaded)
    assert bool(out) == (code == 0)
    assert err.startswith("error: ") == (code == 2)
    assert list(tmp_path.iterdir()) == []
