import numpy as np
import pytest

from mtl_cli.bundles.after import after_of, names_of
from mtl_cli.errors import UserError


def test_classes_without_a_name_are_refused():
    assert names_of(["a", "b"], np.array([1, 0])).tolist() == ["b", "a"]
    assert names_of([], np.array([1, 0])).tolist() == [1, 0]
    with pytest.raises(UserError, match="has 2 names, and predicts class 2"):
        names_of(["a", "b"], np.array([0, 2]))


def test_boxes_of_a_class_without_a_name_are_refused():
    outputs = np.array([[[0, 0, 4, 4, 0.9, 1], [0, 0, 2, 2, 0.1, 7]]], dtype=np.float32)
    boxes = {names: after_of("objects", {"kind": "boxes", "names": names, "threshold": 0.5}) for names in ("ab", "a")}
    ((found,),) = (boxes["ab"].rows(outputs, []),)
    assert found["labels"].tolist() == ["b"]
    assert boxes["ab"].columns(outputs, [])["objects_count"].tolist() == [1]
    with pytest.raises(UserError, match="has 1 names"):
        boxes["a"].rows(outputs, [])
