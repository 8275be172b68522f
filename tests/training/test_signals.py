import os
import signal
import subprocess
import sys
import threading

import pytest

from mtl_cli.errors import Interrupted
from mtl_cli.training.signals import StopRequest, stop_requests


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]


def send(number):
    os.kill(os.getpid(), number)
    for _ in range(100):  # Python runs handlers between bytecodes
        pass


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)],
    ids=["int", "term", "usr1"],
)
def test_a_signal_is_remembered_with_its_exit_code_and_the_handlers_come_back(number, code):
    before = handlers()
    with stop_requests() as request:
        assert request.code is None
        send(number)
        assert (request.code, request.name) == (code, number.name)
        assert handlers() != before
    assert handlers() == before


def interrupt_twice():
    with stop_requests() as request:
        send(signal.SIGINT)
        assert request.code == 130
        send(signal.SIGINT)


def test_a_second_ctrl_c_stops_at_once_and_the_handlers_come_back():
    before = handlers()
    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
    assert handlers() == before


def test_the_first_signal_decides_the_exit_code():
    with stop_requests() as request:
        send(signal.SIGTERM)
        send(signal.SIGUSR1)
        assert (request.code, request.name) == (143, "SIGTERM")


def test_another_thread_gets_a_request_that_stays_silent():
    found = []

    def work():
        with stop_requests() as request:
            found.append((request, handlers() == before))

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    ((request, unchanged),) = found
    assert isinstance(request, StopRequest)
    assert request.code is None
    assert unchanged


def test_an_interruption_carries_its_exit_code():
    assert Interrupted(143, "Stopped by SIGTERM.").code == 143
    assert str(Interrupted(143, "Stopped by SIGTERM.")) == "Stopped by SIGTERM."


def test_a_real_process_finishes_its_step_after_a_signal_from_outside():
    code = (
        "import sys, time\nfrom mtl_cli.training.signals import stop_requests\n"
        "with stop_requests() as stop:\n    print('ready', flush=True)\n"
        "    while stop.code is None:\n        time.sleep(0.01)\n"
        "    print('step done', stop.name, flush=True)\nsys.exit(stop.code)\n"
    )
    for number, exit_code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            rest, _ = process.communicate(timeout=60)
        assert rest == f"step done {number.name}\n"
        assert process.returncode == exit_code
