"""What mtl-init tells from boxes: how much two of one class overlap, which decides what counts as found twice."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mtl_cli.batch import WantedField
from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import boxes_in
from mtl_cli.images.picture_targets import parse_picture
from mtl_cli.layers.box_overlap import overlaps

LOOKED_AT = 100
"""Images whose boxes are looked at, evenly chosen."""
LEAST_OVERLAP, RARE, SLACK = 0.4, 0.005, 0.1
"""Overlap of two boxes of one class up to which both are kept; share of true boxes that may overlap by more; how much
more those overlap that are predicted, since they are less exact."""


def overlap_line(cells: Sequence[str], folder: Path) -> str:
    """Return the line of a task's YAML that says from which overlap on a box is one that was found before."""
    why = "the best of boxes of one class that overlap more (IoU) is kept; 1 keeps all"
    return f"    max_overlap: {usual_overlap(cells, folder):g}  # {why}\n"


def usual_overlap(cells: Sequence[str], folder: Path) -> float:
    """Return the overlap that boxes around two objects of a class hardly exceed, at least `LEAST_OVERLAP`."""
    target = parse_picture(WantedField("boxes", "boxes", "boxes", {"column": "boxes"}))
    largest = []
    for cell in cells[:: max(1, len(cells) // LOOKED_AT)]:
        try:
            boxes = boxes_in(cell, folder, target)
        except UserError:
            continue  # training names it
        for kind in {box[4] for box in boxes}:
            corners = torch.tensor([(x, y, x + w, y + h) for x, y, w, h, name in boxes if name == kind])
            largest.append(overlaps(corners).tril(-1).amax(dim=1))
    if not largest:
        return LEAST_OVERLAP
    found = float(torch.quantile(torch.cat(largest), 1 - RARE))
    return min(1.0, max(LEAST_OVERLAP, round(found + SLACK, 2)))
