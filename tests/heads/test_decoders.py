"""Heads that write pieces: what they compute in training is what they compute when they write."""

import pytest
import torch

from mtl_cli.batch import MISSING_CLASS, NO_CLASS
from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.gru_decoder import GRUDecoder
from mtl_cli.heads.transformer_decoder import TransformerDecoder
from mtl_cli.texts.piece_tokenizer import END, PAD

PIECES, WIDTH, ROWS, LENGTH = 7, 8, 5, 6
MASK = torch.arange(LENGTH) < torch.tensor([6, 3, 1, 4, 6])[:, None]
TARGET = torch.tensor(
    [[3, 4, 5, END], [6, END, NO_CLASS, NO_CLASS], [END, NO_CLASS, NO_CLASS, NO_CLASS], [MISSING_CLASS] * 4,
     [3, PIECES + 65, 4, END]]
)  # fmt: skip
HEADS = {
    "transformer": lambda **changes: TransformerDecoder(**{"num_heads": 2, "dropout": 0.0, **changes}),
    "gru": lambda **changes: GRUDecoder(**{"num_layers": 2, "dropout": 0.0, **changes}),
}


@pytest.fixture(params=HEADS)
def kind(request):
    return request.param


def writer(kind, **changes):
    torch.manual_seed(0)
    module = HEADS[kind](**changes).build(FeatureSpec((LENGTH, WIDTH), masked=True), PIECES)
    module.bias.data.uniform_(-1, 1)
    module.longest = 6
    return module.requires_grad_(False).eval()


def features(rows=slice(None)):
    values = torch.randn(ROWS, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1))
    return Features(values[rows], MASK[rows])


def test_logits_of_training_are_those_of_writing_piece_by_piece(kind):
    module, given = writer(kind), features()
    logits = module(given, TARGET)["logits"]
    assert logits.shape == (ROWS, 4, PIECES)
    state = module.start(given.values, given.mask)
    before = module.known(TARGET)
    for place in range(4):
        last = torch.full((ROWS,), END) if place == 0 else before[:, place - 1]
        hidden, state = module.next(last, place, state)
        torch.testing.assert_close(module.logits(hidden), logits[:, place], atol=1e-5, rtol=1e-4)


def test_a_piece_depends_on_those_before_it_and_not_on_later_ones(kind):
    module = writer(kind)
    other = TARGET.clone()
    other[0, 2] = 6
    logits, changed = (module(features(), each)["logits"] for each in (TARGET, other))
    torch.testing.assert_close(logits[0, :3], changed[0, :3])
    assert not torch.allclose(logits[0, 3], changed[0, 3], atol=1e-3)
    torch.testing.assert_close(logits[1:], changed[1:])


def test_padding_and_the_company_of_other_rows_change_nothing(kind):
    module = writer(kind, beam=2)
    whole, written = module(features(), TARGET)["logits"], module.generate(features())["pieces"]
    for row in range(ROWS):
        length = int(MASK[row].sum())
        values = features().values[row : row + 1]
        alone = Features(values[:, :length], MASK[row : row + 1, :length])
        torch.testing.assert_close(module(alone, TARGET[row : row + 1])["logits"][0], whole[row], atol=1e-5, rtol=1e-4)
        assert torch.equal(module.generate(alone)["pieces"][0], written[row])
        noise = Features(torch.where(MASK[row, :, None], values, 1e3), MASK[row : row + 1])
        assert torch.equal(module.generate(noise)["pieces"][0], written[row])


def test_greedy_writing_is_the_best_piece_each_time_and_the_same_every_time(kind):
    module = writer(kind)
    found = module.generate(features())
    assert torch.equal(found["pieces"], module.generate(features())["pieces"])
    for row, pieces in enumerate(found["pieces"].tolist()):
        ends = pieces.index(END) + 1 if END in pieces else len(pieces)
        assert pieces[ends:] == [PAD] * (len(pieces) - ends)
        logs = module(features(slice(row, row + 1)), torch.tensor([pieces[:ends]]))["logits"][0].log_softmax(dim=1)
        allowed = logs.clone()
        allowed[:, :2] = -torch.inf
        assert allowed.argmax(dim=1).tolist() == pieces[:ends]
        chosen = logs[torch.arange(ends), torch.tensor(pieces[:ends])].sum()
        assert float(found["log_probability"][row]) == pytest.approx(float(chosen), abs=1e-4)


@pytest.mark.parametrize("shape", [(WIDTH,), (WIDTH, 2, 3)])
def test_vectors_and_maps_are_read_as_tokens(kind, shape):
    module = HEADS[kind]().build(FeatureSpec(shape), PIECES)
    assert module(Features(torch.randn(2, *shape)), TARGET[:2])["logits"].shape == (2, 4, PIECES)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (lambda: HEADS["transformer"](width=6, num_heads=4), r"head\.width=4"),
        (lambda: HEADS["gru"](beam=0), r"head\.beam is 0"),
        (lambda: HEADS["gru"](length_penalty=-1.0), r"head\.length_penalty is -1"),
        (lambda: HEADS["gru"](width=0), r"head\.width is 0"),
    ],
)
def test_what_a_head_cannot_be_is_refused(head, message):
    with pytest.raises(ValueError, match=message):
        head().build(FeatureSpec((LENGTH, WIDTH)), PIECES)
