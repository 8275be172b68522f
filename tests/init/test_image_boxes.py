import json

import pytest
import yaml

from mtl_cli.init.image_boxes import overlap_line


def cell(*boxes):
    return json.dumps([[*box, "cell"] for box in boxes])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([cell((0, 0, 10, 10), (20, 0, 10, 10)), cell()], 0.4),
        ([cell((0, 0, 10, 10), (0, 2, 10, 10)), cell()], 0.76),  # 80 pixels of 120 are shared
        ([cell((0, 0, 10, 10), (0, 0, 10, 10))], 1.0),
        ([json.dumps([[0, 0, 10, 10, "a"], [0, 2, 10, 10, "b"]])], 0.4),
        (["not JSON", cell((0, 0, 0, 10))], 0.4),
        ([], 0.4),
    ],
)
def test_boxes_may_overlap_as_much_as_true_ones_do(cells, expected, tmp_path):
    node = yaml.safe_load(overlap_line(cells, tmp_path))
    assert node["max_overlap"] == pytest.approx(expected, abs=0.006)
