"""What the script on scaling computes, by hand."""

import pytest
from scaling import Link, Sent, efficiency, exchange_seconds, link_of, report


def test_two_processes_send_all_bytes_once_and_each_message_twice():
    assert exchange_seconds(Sent(1e6, 3), Link(1e9, 1e-4), 2) == pytest.approx(1e-3 + 6e-4)
    assert exchange_seconds(Sent(1e6, 3), Link(1e9, 1e-4), 1) == 0


def test_bytes_are_bounded_and_messages_are_not():
    bytes_only, messages_only = (Sent(1e6, 0), Sent(0, 1))
    link = Link(1e9, 1e-5)
    assert exchange_seconds(bytes_only, link, 512) == pytest.approx(2e-3, rel=0.01)
    assert exchange_seconds(messages_only, link, 512) == pytest.approx(2 * 511 * 1e-5)


def test_efficiency_is_one_alone_and_a_half_where_the_exchange_takes_a_step():
    sent, link = Sent(8e6, 0), Link(1e9, 0.0)
    assert efficiency(0.01, sent, link, 1) == 1
    assert efficiency(exchange_seconds(sent, link, 8), sent, link, 8) == pytest.approx(0.5)


def test_a_link_is_found_from_the_sums_that_it_would_take():
    link, small, large = Link(2e9, 3e-5), 64.0, 8e6
    seconds = [exchange_seconds(Sent(size, 1), link, 2) for size in (small, large)]
    found = link_of(*seconds, small, large)
    assert found.bandwidth == pytest.approx(2e9)
    assert found.latency == pytest.approx(3e-5)


def test_the_report_compares_the_measured_step_with_the_computed_one():
    text = report(0.01, 0.012, Sent(1e6, 5), Link(1e9, 0.0), Link(25e9, 2e-5))
    assert "12.00 ms (1.09 of it)" in text
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["8", "64", "512"]
