"""Tables with many targets: their columns by a pattern, and texts in a notation of their own."""

import pytest

from mtl_cli.errors import UserError
from mtl_cli.init.advice import is_notation
from mtl_cli.init.asked import asked_of, spelled_out
from mtl_cli.init.first_look import survey
from tests.tables._files import write_csv

COLUMNS = ["id", "assay_a", "assay_b", "x", "assay_*", "assay_c"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"target": ["assay_*"]}, ["assay_*"]),  # the name of a column is that column
        ({"target": "ass*"}, ["assay_a", "assay_b", "assay_*", "assay_c"]),
        ({"target": ["assay_c", "*ay_*"], "drop": ["assay_b"]}, ["assay_c", "assay_a", "assay_*"]),
        ({"target": ["ass*", "x"], "group": "assay_a", "text": ["assay_c"]}, ["assay_b", "assay_*", "x"]),
        ({"target": ["none*"]}, ["none*"]),
    ],
)
def test_a_pattern_is_all_columns_of_that_form_that_are_not_used_otherwise(options, wanted):
    assert list(asked_of(spelled_out(options, COLUMNS)).answers) == wanted


def test_texts_without_spaces_are_read_letter_by_letter():
    formulas = ["CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "OCCCCCCN"]
    assert is_notation(formulas)
    assert is_notation(["ATGGCCATTG", "", "GGATCCTTAA"])
    assert not is_notation(["a good film", "bad"])
    assert not is_notation(["red", "green", "blue"])
    assert not is_notation(["今天天气很好我们去公园", "他们昨天没有来参加会议"])


def test_a_table_whose_only_input_is_a_text_says_how_to_read_it(tmp_path):
    body = [[f"C{'CO' * k}", k % 2, k // 2 % 2] for k in range(60)]
    path = write_csv(tmp_path / "chem.csv", ["smiles", "t_a", "t_b"], body)
    with pytest.raises(UserError, match=r"no input to predict t_a, t_b from. .* give text=smiles"):
        survey(path, {"target": ["t_*"]})


def test_of_many_targets_the_first_of_each_kind_are_told_of(tmp_path):
    header = ["x", *(f"r{k}" for k in range(14)), *(f"b{k}" for k in range(14))]
    body = [[row, *(row * (k + 1) / 7 for k in range(14)), *((row + k) % 2 for k in range(14))] for row in range(60)]
    found = survey(write_csv(tmp_path / "wide.csv", header, body), {"target": ["r*", "b*"]})
    (section,) = [each for each in found.report() if each.title == "Targets"]
    named = [line.partition(":")[0] for line in section.lines if not line.startswith((" ", "…"))]
    assert named == ["r0", "r1", "r2", "b0", "b1", "b2"]
    assert section.lines[-1] == "… and 22 more: 11 of kind real, 11 of kind binary"
