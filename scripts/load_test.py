"""Asks a served bundle as fast as it answers, restarts it meanwhile, and says what was measured.

python scripts/load_test.py BUNDLE [--clients 16] [--seconds 10]
"""

import argparse
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from mtl_cli.bundles.example import example
from mtl_cli.bundles.manifest import read_manifest


class Load:
    """What clients saw: seconds of each answer, requests that got none, and answers that were not 200."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.lost, self.refused, self.bad = 0, 0, 0
        self.stop = threading.Event()

    def ask(self, port: int, body: str) -> None:
        """Send requests one after the other on one connection, and connect again where it was closed."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not self.stop.is_set():
            start = time.perf_counter()
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:  # nobody listens: the server restarts
                self.refused += 1
                time.sleep(0.05)
                continue
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.bad += answer.status != 200
                self.seconds.append(time.perf_counter() - start)
            except (OSError, http.client.HTTPException):
                self.lost += 1
                connection.close()
        connection.close()


def started(bundle: Path, port: int) -> "subprocess.Popen[str]":
    """Start a server and return its process once it listens."""
    command = [sys.executable, "-c", "import sys; from mtl_cli import cli; sys.exit(cli.serve())"]
    process = subprocess.Popen([*command, f"bundle={bundle}", f"port={port}"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not re.search("Serving on", line := process.stdout.readline()):
        assert line, "the server ended"
    return process


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    body = json.dumps(example(read_manifest(options.bundle).data["datasets"]))
    load, server = Load(), started(options.bundle, port)
    clients = [threading.Thread(target=load.ask, args=(port, body)) for _ in range(options.clients)]
    for each in clients:
        each.start()
    time.sleep(options.seconds)
    seconds = sorted(load.seconds)
    server.send_signal(signal.SIGTERM)
    code = server.wait(60)
    server = started(options.bundle, port)
    time.sleep(1)
    load.stop.set()
    for each in clients:
        each.join()
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    print(
        f"{len(seconds) / options.seconds:.0f} requests/s with {options.clients} clients, median "
        f"{1000 * seconds[len(seconds) // 2]:.1f} ms, p99 {1000 * seconds[int(0.99 * len(seconds))]:.1f} ms; over a "
        f"restart (exit code {code}): {load.lost} lost, {load.bad} not answered by 200, "
        f"{load.refused} tries while nobody listened"
    )


if __name__ == "__main__":
    main()
