"""Makes the frozen checkpoint of this version for tests/checkpoints/: a tiny model, and the metrics that it must give.

It is run once for each released version, on the packaged digits: python scripts/freeze_checkpoint.py
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from mtl_cli import __version__, cli
from mtl_cli.files import read_json

OUT = Path(__file__).parent.parent / "tests" / "checkpoints"


def main() -> int:
    """Train, and copy the best checkpoint with its test metrics."""
    with tempfile.TemporaryDirectory() as temporary:
        run_dir = Path(temporary) / "run"
        code = cli.main(
            [
                "task=mnist_digits", "backbone=mlp", "backbone.hidden=[4]", "trainer.max_steps=60",
                "trainer.device=cpu", "trainer.precision=fp32", "trainer.threads=1", "optimizer.lr=0.02",
                "ema.decay=0.9",
                "weighting=uncertainty", f"hydra.run.dir={run_dir}", "quiet=true",
            ]
        )  # fmt: skip
        if code:
            return code
        best = read_json(run_dir / "checkpoints" / "best.json")["file"]
        shutil.copy(run_dir / "checkpoints" / best, OUT / f"{__version__}.pt")
        text = json.dumps(read_json(run_dir / "summary.json")["test"], indent=2)
        (OUT / f"{__version__}.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
