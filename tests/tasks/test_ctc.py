"""CTC against sums over all paths, written out; transcripts, their probabilities and what does not fit."""

import itertools
import math

import pytest
import torch

from mtl_cli.batch import MISSING_CLASS, NO_CLASS, FieldSpec
from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.frames import FrameHead
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.layers.ctc_search import collapsed
from mtl_cli.tasks.ctc import CTC, PieceTotals
from mtl_cli.texts.piece_tokenizer import END
from mtl_cli.training.meters import Meter

PIECES = ("[PAD]", "[UNK]", "[END]", "a", "b", " ")
FIELD = FieldSpec("pieces", 6, PIECES, varying=True, longest=4)
NONE = NO_CLASS
TARGET = torch.tensor(
    [[3, 4, END, NONE], [3, 3, END, NONE], [END, NONE, NONE, NONE], [4, 5, 3, END], [MISSING_CLASS] * 4]
)  # "ab", "aa", "", "b a", none
LENGTHS = [4, 5, 2, 5, 3]


def task(**changes):
    return CTC(**{"target": "y", "weight": 1.0, "head": FrameHead()} | changes, name="t", field=FIELD)


def outputs(seed=0, lengths=LENGTHS):
    logits = torch.randn(len(lengths), max(lengths), 6, generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).float()
    return {"logits": logits, "mask": mask}


def probability(logits, pieces):
    """The sum of the probabilities of all paths to some pieces; logits [L, V]."""
    chances = logits.double().softmax(dim=-1)
    paths = [
        path for path in itertools.product(range(logits.shape[1]), repeat=len(logits)) if collapsed(path) == pieces
    ]
    return sum(math.prod(float(chances[k, piece]) for k, piece in enumerate(path)) for path in paths)


def test_the_loss_is_that_of_all_paths_per_piece():
    found, own = outputs(), task()
    losses = own.entry_losses(found, TARGET)
    for row, pieces in enumerate([[3, 4], [3, 3], [], [4, 5, 3]]):
        expected = -math.log(probability(found["logits"][row, : LENGTHS[row]], pieces)) / max(1, len(pieces))
        assert losses[row].item() == pytest.approx(expected, rel=1e-4)
    assert own.loss(found, TARGET).item() == pytest.approx(losses[:4].mean().item())
    assert own.label_marks(TARGET).tolist() == [True, True, True, True, False]
    assert own.labelled_entries(TARGET) == 4


def test_losses_of_parts_add_up_and_weights_of_rows_multiply():
    found, own = outputs(), task()
    whole = own.loss(found, TARGET)
    parts = [own.loss({k: v[rows] for k, v in found.items()}, TARGET[rows]) for rows in (slice(0, 1), slice(1, 5))]
    torch.testing.assert_close(whole, (parts[0] + 3 * parts[1]) / 4)
    weights = torch.tensor([2.0, 0.0, 1.0, 1.0, 1.0])
    expected = (own.entry_losses(found, TARGET) * weights)[:4].sum() / 4
    torch.testing.assert_close(own.loss_of(found, TARGET, weights), expected)


def test_frames_beyond_the_mask_count_for_nothing():
    found, own = outputs(), task()
    other = {**found, "logits": torch.where(found["mask"].unsqueeze(-1) > 0, found["logits"], 9.0)}
    torch.testing.assert_close(own.entry_losses(found, TARGET), own.entry_losses(other, TARGET))
    assert own.decode(found)["t_prediction"].tolist() == own.decode(other)["t_prediction"].tolist()


def test_a_character_that_no_piece_holds_is_an_error_and_not_a_crash():
    target = TARGET.clone()
    target[0, 0] = 6 + ord("ß")
    own = task()
    assert own.entry_losses(outputs(), target).isfinite().all()
    meter = Meter(own, torch.device("cpu"))
    perfect = written([[3, 4], [3, 3], [], [4, 5, 3], []])
    meter.update(perfect, target, 4)
    assert meter.result().metrics["cer"] == pytest.approx(1 / 7)


def written(rows, confidence=9.0):
    """Outputs whose most likely path writes these pieces."""
    paths = [[step for piece in row for step in (piece, 0)] for row in rows]
    lengths = [max(1, len(path)) for path in paths]
    logits = torch.zeros(len(rows), max(lengths), 6)
    for row, path in enumerate(paths):
        for k, piece in enumerate(path or [0]):
            logits[row, k, piece] = confidence
    return {"logits": logits, "mask": (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).float()}


def test_error_rates_are_edits_over_the_references():
    meter = Meter(task(), torch.device("cpu"))
    meter.update(written([[3, 4], [3], [3], [4, 5, 4, 4], [3, 3]]), TARGET, 4)
    metrics = meter.result().metrics
    assert metrics["cer"] == pytest.approx((0 + 1 + 1 + 2) / 7)  # of "ab", "aa", "", "b a"
    assert metrics["wer"] == pytest.approx((0 + 1 + 1 + 1) / 4)
    assert metrics["exact_match"] == pytest.approx(1 / 4)


@pytest.mark.parametrize("beam", [1, 4])
def test_texts_are_decoded_with_their_probability(beam):
    columns = task(beam=beam).decode(written([[3, 4, 4], [], [4, 5, 3]]))
    assert columns["t_prediction"].tolist() == ["abb", "", "b a"]
    assert ((columns["t_probability"] > 0.9) & (columns["t_probability"] <= 1)).all()
    none = task().columns_of_no_rows()
    assert {name: (len(values), values.dtype) for name, values in none.items()} == {
        name: (0, values.dtype) for name, values in columns.items()
    }
    truth, shown = task().shown(TARGET[3:4], written([[4, 5, 3]]))
    assert (truth.text, shown.text) == ("b a", "b a")


def test_specials_are_never_written():
    found = outputs()
    found["logits"][..., 1:3] = 20.0
    for beam in (1, 4):
        assert set("".join(task(beam=beam).decode(found)["t_prediction"])) <= set("ab ")


def test_the_trivial_predictor_writes_nothing():
    own = task()
    summary = PieceTotals.of(FIELD, own.summarise(TARGET).state())
    assert summary.histogram.tolist() == [0, 0, 4, 4, 2, 1]
    assert summary.num_labelled == 4
    meter = Meter(own, torch.device("cpu"))
    meter.update(own.repeated(own.trivial_outputs(summary), TARGET), TARGET, 4)
    result = meter.result()
    assert result.metrics["cer"] == result.metrics["wer"] == 1.0
    assert 0 < result.loss < 20


def test_the_fewest_frames_are_pieces_and_repeats():
    assert task().fewest_positions(TARGET).tolist() == [2, 3, 0, 3, 0]
    losses = task().entry_losses(outputs(lengths=[1, 2, 1, 3, 1]), TARGET)
    assert (losses == 0).tolist() == [True, True, False, False, False]  # what does not fit has no part in the loss


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"tasks\.t\.beam is 0"):
        task(beam=0)
    with pytest.raises(
        ValueError, match=r"needs a frames\. Use tasks\.t\.head\._target_=mtl_cli\.heads\.frames\.Frame"
    ):
        task(head=MLPHead())


def test_the_head_goes_over_every_frame_and_keeps_the_mask():
    features = Features(torch.randn(2, 5, 4), torch.arange(5) < torch.tensor([[5], [2]]))
    module = FrameHead().build(FeatureSpec.of(features), 6)
    found = module(features)
    weight, bias = module.parameters()
    torch.testing.assert_close(found["logits"], features.values @ weight.T + bias)
    assert found["mask"].sum(dim=1).tolist() == [5, 2]
    assert module(Features(features.values))["mask"].sum() == 10
