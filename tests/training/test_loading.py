import errno
import math
import multiprocessing
import time

import pytest
import torch

from mtl_cli.batch import MISSING_CLASS, Sample
from mtl_cli.datasets.base import as_split
from mtl_cli.errors import RunFailure
from mtl_cli.tables.rows import EncodedRows
from mtl_cli.training.loading import MOST_AT_ONCE, Stream, sweep_size
from mtl_cli.training.order import Order
from mtl_cli.training.reading import label_counts

CPU = torch.device("cpu")


class Rows:
    """Rows that know their own number: input [N, 2] = (row, row²) and label fields."""

    def __init__(self, size, **fields):
        self.size, self.fields = size, fields

    def __len__(self):
        return self.size

    def __getitems__(self, indices):
        values = torch.stack([indices.float(), indices.float() ** 2], dim=1)
        return Sample(values, {name: field[indices] for name, field in self.fields.items()})

    def labels(self, field):
        return self.fields[field]


def stream(size=23, batch_size=5, workers=0, targets=None, name="digits", seed=0, **fields):
    fields = fields or {"label": torch.arange(size) % 3}
    order = Order(size, batch_size, name, seed)
    return Stream(Rows(size, **fields), name, targets or {"a": "label"}, order, CPU, workers)


def rows_of(batch):
    return batch.inputs.values[:, 0].long()


# Order


@pytest.mark.parametrize(("size", "batch_size"), [(23, 5), (20, 5), (21, 5), (3, 5), (1, 1), (129, 128), (100, 1)])
def test_each_pass_is_another_permutation_of_all_rows_in_batches_of_nearly_equal_size(size, batch_size):
    order = Order(size, batch_size, "digits", seed=0)
    assert order.batches == math.ceil(size / batch_size)
    passes = []
    for number in range(3):
        draws = [order.rows(number * order.batches + k) for k in range(order.batches)]
        sizes = [len(rows) for rows in draws]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= batch_size
        passes.append(torch.cat(draws))
        assert sorted(passes[-1].tolist()) == list(range(size))
    if size > 20:
        assert not torch.equal(passes[0], passes[1])
        assert not torch.equal(passes[1], passes[2])


def test_random_access_equals_sequential_access():
    sequential = Order(23, 5, "digits", 0)
    expected = [sequential.rows(draw) for draw in range(30)]
    jumping = Order(23, 5, "digits", 0)
    for draw in torch.randperm(30).tolist():
        assert torch.equal(jumping.rows(draw), expected[draw])
        assert torch.equal(Order(23, 5, "digits", 0).rows(draw), expected[draw])


def test_the_order_is_shuffled_evenly():
    """Mean over 400 passes of where each row comes: (N − 1)/2 = 9.5 within 5 standard errors of 5.77/√400."""
    order = Order(20, 20, "digits", 0)
    places = torch.stack([order.rows(draw).argsort() for draw in range(400)]).float().mean(dim=0)
    assert (places - 9.5).abs().max() < 5 * math.sqrt((20**2 - 1) / 12 / 400)


def test_seeds_and_datasets_have_orders_of_their_own():
    orders = [Order(50, 50, name, seed).rows(0) for name in ("digits", "letters") for seed in (0, 1)]
    assert len({tuple(rows.tolist()) for rows in orders}) == 4
    assert torch.equal(Order(50, 50, "digits", 0).rows(0), Order(50, 10**6, "digits", 0).rows(0))


# Stream


def test_a_batch_holds_the_rows_of_its_draw_with_their_labels():
    batches = stream()
    for draw in (0, 3, 7, 2):
        (batch,) = batches.batches(draw)
        rows = batches.order.rows(draw)
        assert torch.equal(rows_of(batch), rows)
        assert torch.equal(batch.inputs.values[:, 1], rows.float() ** 2)
        assert torch.equal(batch.targets["a"], rows % 3)
        assert batch.inputs.dataset == "digits"
        assert batch.counts == {"a": len(rows)}


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_the_parts_of_a_draw_cover_it_in_order(parts):
    batches = stream(batch_size=12)
    pieces = batches.batches(1, parts)
    assert len(pieces) == parts
    assert torch.equal(torch.cat([rows_of(piece) for piece in pieces]), batches.order.rows(1))
    assert torch.equal(torch.cat([piece.targets["a"] for piece in pieces]), batches.order.rows(1) % 3)
    sizes = [piece.rows for piece in pieces]
    assert max(sizes) - min(sizes) <= 1
    assert [piece.counts["a"] for piece in pieces] == sizes


def test_counts_are_the_labels_that_are_there():
    size = 40
    stream_ = torch.Generator().manual_seed(0)
    classes = torch.randint(4, (size,), generator=stream_).masked_fill(
        torch.rand(size, generator=stream_) < 0.4, MISSING_CLASS
    )
    real = torch.randn(size, generator=stream_).masked_fill(torch.rand(size, generator=stream_) < 0.4, math.nan)
    many = torch.rand(size, 3, generator=stream_).masked_fill(torch.rand(size, 3, generator=stream_) < 0.4, math.nan)
    targets = {"c": "class", "r": "real", "m": "many", "again": "class"}
    batches = stream(size, 7, targets=targets, **{"class": classes, "real": real, "many": many})
    for draw in range(12):
        for batch in batches.batches(draw, 2):
            rows = rows_of(batch)
            expected = {
                "c": int((classes[rows] != -100).sum()),
                "r": int((~real[rows].isnan()).sum()),
                "m": int((~many[rows].isnan()).sum()),
                "again": int((classes[rows] != -100).sum()),
            }
            assert batch.counts == {task: count for task, count in expected.items() if count}
            assert batch.targets.keys() == batch.counts.keys()


def test_a_task_without_any_label_in_a_batch_is_left_out_of_it():
    labels = torch.full((23,), MISSING_CLASS)
    labels[4] = 1
    batches = stream(targets={"a": "label", "b": "rare"}, label=torch.zeros(23, dtype=torch.int64), rare=labels)
    with_b = 0
    for draw in range(batches.order.batches):
        (batch,) = batches.batches(draw)
        here = 4 in batches.order.rows(draw)
        assert batch.tasks == (("a", "b") if here else ("a",))
        assert batch.counts == ({"a": batch.rows, "b": 1} if here else {"a": batch.rows})
        with_b += here
    assert with_b == 1


def test_label_counts_are_one_number_where_all_rows_are_alike():
    def counts(labels):
        return label_counts(as_split(Rows(len(labels), f=labels)), "f")

    assert counts(torch.zeros(4, 2, 3)) == 6
    assert counts(torch.tensor([1, MISSING_CLASS])).tolist() == [1, 0]
    assert counts(torch.tensor([[[1.0, math.nan]], [[1.0, 2.0]]])).tolist() == [1, 2]
    assert counts(torch.empty(0, dtype=torch.int64)).tolist() == []


@pytest.mark.parametrize("batch_size", [1, 5, 6, 100])
def test_a_sweep_yields_every_row_once_in_order(batch_size):
    batches = list(stream(batch_size=batch_size).sweep())
    assert torch.cat([rows_of(batch) for batch in batches]).tolist() == list(range(23))
    assert torch.equal(torch.cat([batch.targets["a"] for batch in batches]), torch.arange(23) % 3)
    assert max(batch.rows for batch in batches) <= 4 * batch_size


def test_cutting_a_sample_cuts_inputs_and_fields():
    sample = Sample({"x": torch.arange(6), "y": torch.arange(12).reshape(6, 2)}, {"label": -torch.arange(6)})
    part = sample.rows(2, 5)
    assert part.inputs["x"].tolist() == [2, 3, 4]
    assert part.inputs["y"].tolist() == [[4, 5], [6, 7], [8, 9]]
    assert part.fields["label"].tolist() == [-2, -3, -4]


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers_and_the_workers_are_closed(workers):
    reference, batches = stream(), stream(workers=workers)
    others = set(multiprocessing.active_children())
    pairs = []
    for draw in (*range(12), 17, 18, 3, 4):  # in a row over two passes, ahead, and back as in a resumed run
        pairs += zip(reference.batches(draw), batches.batches(draw), strict=True)
        assert len(set(multiprocessing.active_children()) - others) == workers
    for expected, batch in pairs:  # all are still what they were: no other was written over them
        assert torch.equal(batch.inputs.values, expected.inputs.values)
        assert torch.equal(batch.targets["a"], expected.targets["a"])
        assert batch.counts == expected.counts
    batches.close()
    end = time.monotonic() + 20
    while set(multiprocessing.active_children()) - others and time.monotonic() < end:
        time.sleep(0.05)
    assert not set(multiprocessing.active_children()) - others


def unequal_rows(cls, width=2):
    """Return a stream of 40 rows in batches of at most 7, one label missing in three."""
    labels = torch.arange(40).masked_fill(torch.arange(40) % 3 == 0, MISSING_CLASS)
    rows = cls(torch.arange(40.0)[:, None].expand(-1, width), {"label": labels})
    return Stream(rows, "digits", {"a": "label"}, Order(40, 7, "digits", 0), CPU)


class Apart(EncodedRows):
    """Rows of which no two batches are read at once, as if they were padded."""

    fixed_size = False


@pytest.mark.parametrize("stride", [1, 3])
def test_draws_that_are_read_at_once_are_those_that_are_read_alone(stride):
    alone, together = unequal_rows(Apart), unequal_rows(EncodedRows)
    together.stride = stride
    asked = [*range(0, 33, stride), *range(50, 53), 5, 4]  # over passes, on in another block, and back after a resume
    for draw in asked:
        (expected,), (batch,) = alone.batches(draw), together.batches(draw)
        assert rows_of(batch).tolist() == alone.order.rows(draw).tolist()
        assert torch.equal(batch.inputs.values, expected.inputs.values)
        assert torch.equal(batch.targets["a"], expected.targets["a"])
        assert batch.counts == expected.counts
        assert batch.inputs.values.data_ptr() % 64 == 0
    assert len(together.batches(0, 2)) == 2


def test_small_batches_are_read_at_once_and_large_ones_alone(monkeypatch):
    fetched = []
    fetch = EncodedRows.__getitems__
    monkeypatch.setattr(EncodedRows, "__getitems__", lambda self, rows: fetched.append(len(rows)) or fetch(self, rows))
    for width, expected in ((2, [1, 16 * MOST_AT_ONCE]), (2**16, [1, 6, 7])):  # the first row tells the size
        fetched.clear()
        stream_ = unequal_rows(EncodedRows, width)
        stream_.batches(0), stream_.batches(1)
        assert fetched == expected


def test_reading_ahead_leaves_the_default_random_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    batches = stream(workers=1)
    batches.batches(0)
    batches.close()
    assert torch.equal(torch.rand(3), expected)


def full(*_):
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


def test_shared_memory_that_is_full_ends_a_run_in_one_message(monkeypatch):
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)  # in the worker, and for what goes to it
    batches = stream(workers=1)
    with pytest.raises(RunFailure, match=r"/dev/shm, through .* is full\. Make it larger, or use data.workers=0\.$"):
        batches.batches(0)
    batches.close()


def test_room_for_no_semaphore_ends_a_run_in_one_message(monkeypatch):
    def no_room():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("multiprocessing.Queue", no_room)
    with pytest.raises(RunFailure, match=r"Cannot start processes .* /dev/shm"):
        stream(workers=1).batches(0)


@pytest.mark.parametrize(
    ("batch_size", "device", "rows"),
    [(8, "cpu", 32), (50, "cpu", 128), (128, "cpu", 128), (500, "cpu", 500), (500, "meta", 2000)],
)
def test_a_sweep_takes_more_rows_at_a_time_where_that_is_faster(batch_size, device, rows):
    assert sweep_size(batch_size, torch.device(device)) == rows
