import io
import logging
import sys

from mtl_cli.commands.console import console


class Closed(io.StringIO):
    """A pipe that nobody reads on."""

    def write(self, text):
        raise BrokenPipeError


def test_output_that_nobody_reads_on_ends_nothing_and_shows_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Closed())
    with console():
        for _ in range(2):
            logging.getLogger("mtl_cli").warning("a line")
    assert not isinstance(sys.stdout, Closed)
    assert capsys.readouterr().err == ""
    sys.stdout.close()
