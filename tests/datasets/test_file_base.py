"""What all datasets that are read from files do alike: a state stands for fitting, also on files without labels."""

import numpy as np
import pytest

from tests.tables._files import arrays, everything, tabular, write_csv
from tests.texts._files import text

ROWS = [[f"word{i % 3}", float(i), "ab"[i % 2]] for i in range(30)]


def make_tabular(folder, labels, **changes):
    header = ["text", "x", "y"][: 3 if labels else 2]
    path = write_csv(folder / f"table{labels}.csv", header, [row[: len(header)] for row in ROWS])
    return tabular(path, opened=False, categorical=["text"], **changes)


def make_text(folder, labels, **changes):
    header = ["text", "x", "y"][: 3 if labels else 2]
    path = write_csv(folder / f"text{labels}.csv", header, [row[: len(header)] for row in ROWS])
    return text(path, opened=False, tokenizer="words", **changes)


def make_arrays(folder, labels, **changes):
    path = folder / f"array{labels}.npz"
    own = {"y": np.array([row[2] for row in ROWS])} if labels else {}
    np.savez(path, x=np.array([row[1] for row in ROWS]), **own)
    return arrays(path, opened=False, **changes)


@pytest.mark.parametrize("make", [make_tabular, make_text, make_arrays])
def test_a_main_file_may_lack_the_target_that_it_is_stratified_by_once_a_state_is_loaded(tmp_path, make):
    first = make(tmp_path, labels=True)
    first.open()
    other = make(tmp_path, labels=False)
    other.load_state_dict(first.state_dict())
    other.open()
    assert sum(len(other.split(name)) for name in ("train", "val", "test")) == len(ROWS)
    assert (everything(other, "test").fields["y"] == -100).all()
    assert other.field_specs == first.field_specs
    assert other.input_spec == first.input_spec
