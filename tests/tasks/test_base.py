import pytest

from mtl_cli.heads.tokens import TokenHead
from mtl_cli.tasks.classification import Classification
from tests._models import task


class Graph(TokenHead):
    gives = "graph"


class Wants(Classification):
    head_gives = "edges"


def test_a_head_that_gives_something_else_is_refused_with_those_that_fit():
    with pytest.raises(ValueError, match=r"tasks\.a\.head is a TokenHead, which gives a sequence") as caught:
        task("a", head=TokenHead())
    assert "Classification needs a vector. Use tasks.a.head._target_=mtl_cli.heads.mlp.MLPHead" in str(caught.value)
    with pytest.raises(ValueError, match="is a Graph, which gives a graph of outputs per sample"):
        task("a", head=Graph())


def test_a_need_that_no_head_on_hand_fills_is_told():
    made = task("a")
    with pytest.raises(ValueError, match=r"Wants needs a edges\. No head on hand gives that"):
        Wants("label", 1.0, 0.0, made.head, name="a", field=made.field)
