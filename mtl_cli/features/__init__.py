"""Features between stages, and the stages. All code that branches on the number of dimensions is here.

Import these names from here.
"""

from mtl_cli.features.boundary import Boundary, alias
from mtl_cli.features.features import KINDS, Features, FeatureSpec
from mtl_cli.features.mixing import join, local, mixture, pointwise, stitch, sum_products
from mtl_cli.features.shapes import add_coarse, align, coarser, pool, tokens, untokens
from mtl_cli.features.stages import PLAIN, NewPart, Stage, Stages, carried_mask, run_stage, run_stages

__all__ = [
    "KINDS",
    "PLAIN",
    "Boundary",
    "FeatureSpec",
    "Features",
    "NewPart",
    "Stage",
    "Stages",
    "add_coarse",
    "alias",
    "align",
    "carried_mask",
    "coarser",
    "join",
    "local",
    "mixture",
    "pointwise",
    "pool",
    "run_stage",
    "run_stages",
    "stitch",
    "sum_products",
    "tokens",
    "untokens",
]
