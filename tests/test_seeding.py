import hashlib

import pytest
import torch

from mtl_cli.seeding import derive, generator, seed_step, seeded


def test_a_derived_seed_is_a_63_bit_hash_of_its_parts():
    digest = hashlib.blake2b(b"7\x1fheads/letters\x1f3", digest_size=8).hexdigest()
    assert derive(7, "heads/letters", 3) == int(digest, 16) // 2
    assert 0 <= derive(7) < 2**63


def test_different_parts_give_different_seeds():
    parts = [(a, b, c) for a in range(10) for b in ("x", "y", "xy", "") for c in range(10)]
    parts += [("1", "12"), ("11", "2"), ("112",), (1, 1, 2), (2, 1, 1)]
    assert len({derive(*each) for each in parts}) == len(parts)


def test_a_generator_is_a_function_of_its_name_alone():
    expected = torch.rand(5, generator=torch.Generator().manual_seed(derive(3, "order", 1)))
    torch.rand(9)
    assert torch.equal(torch.rand(5, generator=generator(3, "order", 1)), expected)
    assert not torch.equal(torch.rand(5, generator=generator(3, "order", 2)), expected)


def test_a_step_is_reseeded_as_by_manual_seed():
    seed_step(torch.device("cpu"), 0, "step", 5)
    drawn = torch.rand(4)
    torch.manual_seed(derive(0, "step", 5))
    assert torch.equal(torch.rand(4), drawn)


def draw_and_fail(expected):
    with seeded(0, "heads/a"):
        assert torch.equal(torch.rand(3), expected)
        raise KeyError


def test_a_seeded_block_leaves_the_default_stream_as_it_was_also_after_an_error():
    torch.manual_seed(1)
    expected = torch.rand(6)
    torch.manual_seed(1)
    first = torch.rand(2)
    with seeded(0, "heads/a"):
        inside = torch.rand(3)
    middle = torch.rand(2)
    with pytest.raises(KeyError):
        draw_and_fail(inside)
    assert torch.equal(torch.cat([first, middle, torch.rand(2)]), expected)
    assert not torch.equal(inside[:2], first)
