"""Heads that write pieces: what they compute in training is what they compute when they write."""

import pytest
import torch

from mtl_cli.batch import MISSING_CLASS, NO_CLASS
from mtl_cli.errors import UserError
from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.decoder_base import Copying, Source
from mtl_cli.heads.gru_decoder import GRUDecoder
from mtl_cli.heads.transformer_decoder import TransformerDecoder
from mtl_cli.layers.decoder import Attention
from mtl_cli.texts.piece_tokenizer import END, PAD

PIECES, WIDTH, ROWS, LENGTH = 7, 8, 5, 6
MASK = torch.arange(LENGTH) < torch.tensor([6, 3, 1, 4, 6])[:, None]
TARGET = torch.tensor(
    [[3, 4, 5, END], [6, END, NO_CLASS, NO_CLASS], [END, NO_CLASS, NO_CLASS, NO_CLASS], [MISSING_CLASS] * 4,
     [3, PIECES + 65, 4, END]]
)  # fmt: skip
SOURCE = torch.tensor([[3, 4, 5, 6, 3, END], [4, 4, END, 0, 0, 0], [END, 0, 0, 0, 0, 0], [6, 1, 5, END, 0, 0], [3] * 6])
HEADS = {
    "transformer": lambda **changes: TransformerDecoder(**{"num_heads": 2, "dropout": 0.0, **changes}),
    "gru": lambda **changes: GRUDecoder(**{"num_layers": 2, "dropout": 0.0, **changes}),
    "copying transformer": lambda **changes: HEADS["transformer"](copy=True, **changes),
    "copying gru": lambda **changes: HEADS["gru"](copy=True, **changes),
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
    return Features(values[rows], MASK[rows], pieces=SOURCE[rows])


def test_logits_of_training_are_those_of_writing_piece_by_piece(kind):
    module, given = writer(kind), features()
    logits = module(given, TARGET)["logits"]
    assert logits.shape == (ROWS, 4, PIECES)
    state, source = module.start(given.values, given.mask), module.source(given)
    before = module.known(TARGET)
    for place in range(4):
        last = torch.full((ROWS,), END) if place == 0 else before[:, place - 1]
        hidden, state = module.next(last, place, state)
        torch.testing.assert_close(
            module.logits(hidden[:, None], last[:, None], source)[:, 0], logits[:, place], atol=1e-5, rtol=1e-4
        )


def test_a_piece_depends_on_those_before_it_and_not_on_later_ones(kind):
    module = writer(kind)
    other = TARGET.clone()
    other[0, 2] = 6
    logits, changed = (module(features(), each)["logits"] for each in (TARGET, other))
    torch.testing.assert_close(logits[0, :3], changed[0, :3])
    assert not torch.allclose(logits[0, 3], changed[0, 3], atol=1e-3)
    torch.testing.assert_close(logits[1:], changed[1:])


def test_attention_is_what_a_piece_was_written_from(kind):
    module = writer(kind, num_layers=1)
    given = features()
    found = module.attention(given, TARGET)
    shares = found["attention"]
    assert shares.shape == (ROWS, 4, LENGTH)
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(ROWS, 4))
    assert (shares[~MASK[:, None, :].expand(-1, 4, -1)] == 0).all()
    changed = features()
    changed.values[0, int(shares[0, 1].argmax())] += 5.0
    moved = module.attention(changed, TARGET)["attention"]
    assert not torch.allclose(moved[0], shares[0])
    assert torch.equal(moved[1:], shares[1:])
    assert ("copied" in found) == module.copies
    if module.copies:
        before = module.before(TARGET)
        hidden = module.hidden(before, given.values, given.mask)
        gate = module.copying.gate(hidden).sigmoid()[:, :, 0]
        torch.testing.assert_close(found["copied"].sum(dim=2), 1 - gate)


def test_the_shares_of_a_layer_are_those_that_mix_its_values():
    torch.manual_seed(0)
    layer = Attention(WIDTH, WIDTH, 2, 0.0).eval()
    x, memory = torch.randn(ROWS, 3, WIDTH), torch.randn(ROWS, LENGTH, WIDTH)
    keys, values = layer.keys_and_values(memory)
    mixed = layer.out((layer.shares(x, keys, MASK) @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixed, layer(x, keys, values, MASK))


def test_padding_and_the_company_of_other_rows_change_nothing(kind):
    module = writer(kind, beam=2)
    whole, written = module(features(), TARGET)["logits"], module.generate(features())["pieces"]
    for row in range(ROWS):
        length = int(MASK[row].sum())
        values = features().values[row : row + 1]
        alone = Features(values[:, :length], MASK[row : row + 1, :length], pieces=SOURCE[row : row + 1, :length])
        torch.testing.assert_close(module(alone, TARGET[row : row + 1])["logits"][0], whole[row], atol=1e-5, rtol=1e-4)
        assert torch.equal(module.generate(alone)["pieces"][0], written[row])
        noise = Features(
            torch.where(MASK[row, :, None], values, 1e3), MASK[row : row + 1], pieces=SOURCE[row : row + 1]
        )
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
    given = Features(torch.randn(2, *shape))
    if not module.copies:
        assert module(given, TARGET[:2])["logits"].shape == (2, 4, PIECES)
        return
    with pytest.raises(UserError, match=r"head\.copy is true, but the backbone gives \d features .*copy=false"):
        module(given, TARGET[:2])


def test_copying_mixes_probabilities_by_a_gate_and_points_at_what_comes_after_the_last_piece():
    torch.manual_seed(0)
    copying = Copying(WIDTH, WIDTH).requires_grad_(False)
    hidden, logits = torch.randn(1, 2, WIDTH), torch.randn(1, 2, PIECES)
    pieces, before = torch.tensor([[4, 6, 4, 5]]), torch.tensor([[END, 6]])
    memory, mask = torch.randn(1, 4, WIDTH), torch.tensor([[True, True, True, False]])
    found = copying(hidden, before, logits, Source(pieces, copying.key(memory), mask)).exp()
    for place, follows in enumerate(([1, 0, 0], [0, 0, 1])):  # before the first piece stands the end
        scores = [
            float(copying.query(hidden[0, place]) @ copying.key(memory[0, k])) / WIDTH**0.5 + 3.0 * follows[k]
            for k in range(3)
        ]
        points = torch.tensor(scores).softmax(dim=0)
        copied = torch.zeros(PIECES)
        copied[6], copied[4] = points[1], points[0] + points[2]
        gate = copying.gate(hidden[0, place]).sigmoid()
        wanted = gate * logits[0, place].softmax(dim=0) + (1 - gate) * copied
        torch.testing.assert_close(found[0, place], wanted, atol=1e-6, rtol=1e-5)


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
