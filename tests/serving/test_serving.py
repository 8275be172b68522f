"""The server in a process of its own, with real clients: what it answers, refuses and survives."""

import concurrent.futures
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from PIL import Image

import mtl_cli
from mtl_cli import cli
from mtl_cli.serving.server import listening
from tests import _kinds, _trained
from tests._trained import rows_of

PROGRAM = """
import atexit, sys
from mtl_cli import cli
code = cli.main_serve(sys.argv[1:])
foreign = [name for name in sys.modules if name.split(".")[0] in ("torch", "hydra", "omegaconf")
           or name.startswith(("mtl_cli.training", "mtl_cli.runs.build", "mtl_cli.model", "mtl_cli.tasks"))]
print("foreign", foreign, flush=True)
sys.exit(code)
"""


class Served:
    """A server's process, and a client of it."""

    def __init__(self, bundle, *words):
        command = [sys.executable, "-c", PROGRAM, f"bundle={bundle}", "port=0", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = ""
        while "Serving on" not in line:
            line = self.process.stdout.readline()
            assert line, "the server ended"
        self.url = re.search(r"http://\S+?:\d+", line)[0]
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def __enter__(self):
        return self

    def predict(self, data, **options):
        return self.client.post("/predict", json=data, **options)

    def end(self):
        """Ask it to end; return its code and what it printed."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output

    def __exit__(self, *error):
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def by_column(answer):
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    return {name: [row[name] for row in rows] for name in rows[0]}


def same(expected, found):
    assert list(expected) == list(found)
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
        else:
            assert found[name] == values.tolist()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    path = _trained.train("table", folder)
    assert cli.main_export([f"checkpoint={path}", f"output={folder / 'bundle'}", "format=onnx"]) == 0
    rows = rows_of(folder / "table.csv")
    return folder, rows, mtl_cli.load(path).predict(rows)


@pytest.mark.slow
def test_rows_as_json_and_csv_get_the_predictions_of_the_checkpoint_without_torch(table):
    folder, rows, expected = table
    with Served(folder / "bundle") as server:
        for data in (rows, {"rows": rows}):
            same(expected, by_column(server.predict(data)))
        csv = {"content-type": "text/csv"}
        body = (folder / "table.csv").read_bytes()
        same(expected, by_column(server.client.post("/predict", content=body, headers=csv)))
        answer = server.client.post("/predict", content=body, headers={**csv, "accept": "text/csv"})
        (folder / "answer.csv").write_text(answer.text)
        _trained.assert_same(expected, _trained.columns_written(folder / "answer.csv"), tolerance=1e-4)
        chosen = by_column(server.client.post("/predict?tasks=z", json=rows))
        same({name: values for name, values in expected.items() if name.startswith("z_")}, chosen)
        health = server.client.get("/health").json()
        assert health["columns"] == list(expected)
        page = server.client.get("/openapi.json").json()
        example = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert server.predict(example).status_code == 200
        assert 'mtl_requests_total{status="200"}' in server.client.get("/metrics").text
        code, output = server.end()
    assert code == 0
    assert "foreign []" in output


@pytest.mark.slow
def test_bad_huge_and_slow_clients_are_told_and_harm_nobody(table):
    folder, rows, expected = table
    with Served(folder / "bundle", "max_rows=100", "max_mb=0.05", "timeout_s=1") as server:
        post = server.client.post
        wrong = [{**rows[0]}, {**rows[1], "b": "x"}]
        for answer, status, message in (
            (server.predict(wrong), 422, "row 2, column 'b': 'x' is not a number"),
            (server.predict([{"a": 1}]), 422, "no column 'b', 'c', 'kind'"),
            (server.predict({"row": []}), 422, "it has one of rows"),
            (server.predict([]), 422, "0 rows; it has 1 to 100"),
            (post("/predict?tasks=z,zz", json=rows), 422, "'zz' is not a task of this bundle. Those are y, z."),
            (post("/predict?task=z", json=rows), 422, "takes no 'task'; it takes ?tasks=A,B"),
            (server.predict([1.0] * 101), 422, "101 rows"),
            (server.predict(3), 422, "holds a number"),
            (server.predict(["a text"]), 422, "No task of this bundle"),
            (post("/predict", content=b"{", headers={"content-type": "application/json"}), 422, "not JSON"),
            (post("/predict", content=b"[" * 20000, headers={"content-type": "application/json"}), 422, "not JSON"),
            (post("/predict", content=b"a,b\n1\n", headers={"content-type": "text/csv"}), 422, "not CSV"),
            (post("/predict", content=b"x", headers={"content-type": "text/xml"}), 422, "content type is text/xml"),
            (post("/predict", files={"files": ("a.png", b"x")}), 422, "not files of images"),
            (post("/predict", content=b" " * 60_000), 413, "50000 are the most"),
            (post("/predict", content=iter([b" " * 1000] * 60)), 413, "more than 50000 bytes"),
            (server.client.get("/nothing"), 404, "Not Found"),
            (server.client.get("/predict"), 405, "Method Not Allowed"),
        ):
            assert answer.status_code == status, answer.text
            assert message in answer.json()["error"]
        host, port = re.search(r"//(.*):(\d+)", server.url).groups()
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n[")
            same(expected, by_column(server.predict(rows)))
            slow.settimeout(10)
            assert b"408" in slow.recv(1000)
        with socket.create_connection((host, int(port))) as foreign:
            foreign.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert b"400" in foreign.recv(1000)
        same(expected, by_column(server.predict(rows)))
        code, output = server.end()
    assert code == 0
    assert "Traceback" not in output


@pytest.mark.slow
def test_requests_that_come_together_are_batched_and_all_are_answered_when_it_ends(table):
    folder, rows, expected = table
    parts = [rows[start : start + 3] for start in range(0, 60, 3)]

    def ask(number):
        with httpx.Client(base_url=server.url, timeout=30) as client:
            return number, client.post("/predict", json=parts[number % 20])

    with Served(folder / "bundle", "wait_ms=400") as server:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(ask, range(60)))
            for number, answer in answers:
                start = 3 * (number % 20)
                same({name: values[start : start + 3] for name, values in expected.items()}, by_column(answer))
            text = server.client.get("/metrics").text
            batches, requests = (float(re.search(rf"^mtl_{name} (\S+)", text, re.M)[1]) for name in
                                 ("batches_total", "batched_requests_total"))  # fmt: skip
            assert requests == 60
            assert batches < 40
        host, port = re.search(r"//(.*):(\d+)", server.url).groups()
        open_ones = [http.client.HTTPConnection(host, int(port), timeout=30) for _ in range(20)]
        for number, each in enumerate(open_ones):
            body = json.dumps(parts[number])
            each.request("POST", "/predict", body, {"content-type": "application/json"})
        time.sleep(0.2)  # they have come, and wait for others
        server.process.send_signal(signal.SIGTERM)
        statuses = []
        for each in open_ones:
            with each.getresponse() as answer:
                statuses.append(answer.status)
                assert answer.getheader("connection") == "close"  # so that no client sends another request here
            each.close()
        assert statuses == [200] * 20
        output, _ = server.process.communicate(timeout=30)
        assert server.process.returncode == 0, output


@pytest.mark.slow
def test_texts_and_images_are_served(tmp_path, monkeypatch):
    folder = tmp_path / "text"
    folder.mkdir()
    path = _trained.train("text", folder, backbone=_kinds.option("backbone", "text_cnn"))
    assert cli.main_export([f"checkpoint={path}", f"output={folder / 'bundle'}", "format=onnx"]) == 0
    texts = [row["text"] for row in rows_of(folder / "text.csv")]
    with Served(folder / "bundle") as server:
        same(mtl_cli.load(path).predict(texts), by_column(server.predict({"texts": texts})))
        assert "foreign []" in server.end()[1]
    path = _trained.train_pictures(tmp_path)
    assert cli.main_export([f"checkpoint={path}", f"output={tmp_path / 'bundle'}", "format=torch"]) == 0
    files = sorted((tmp_path / "images").iterdir())[:3]
    expected = mtl_cli.load(path).predict(files)
    with Served(tmp_path / "bundle") as server:
        sent = [("files", (file.name, file.read_bytes())) for file in files]
        found = by_column(server.client.post("/predict", files=sent))
        for row, values in enumerate(expected.pop("instances")):
            np.testing.assert_array_equal(found["instances"][row], values)
        del found["instances"]
        same(expected, found)
        one = server.client.post("/predict", content=files[0].read_bytes(), headers={"content-type": "image/png"})
        assert len(one.json()["predictions"]) == 1
        for data in ([str(files[0])], [{"image": "/etc/hostname"}]):
            answer = server.predict(data)
            assert answer.status_code == 422
            assert "sent as files" in answer.json()["error"]
        bomb = io.BytesIO()
        Image.new("1", (10_500, 10_500)).save(bomb, "png")
        for data, message in ((b"\x89PNG\r\n", "bad.png cannot be read as an image"), (bomb.getvalue(), "pixels")):
            answer = server.client.post("/predict", files={"files": ("bad.png", data)})
            assert answer.status_code == 422
            assert message in answer.json()["error"]
        assert server.end()[0] == 0


def test_a_taken_address_is_told_and_small_answers_are_sent_at_once():
    with listening("127.0.0.1", 0) as first:
        first.listen()
        assert first.proto == socket.IPPROTO_TCP  # else asyncio lets small packets wait for each other
        with pytest.raises(mtl_cli.UserError, match=r"Cannot listen on 127.0.0.1:\d+: .*port=8001"):
            listening("127.0.0.1", first.getsockname()[1])
    with pytest.raises(mtl_cli.UserError, match=r"Cannot listen on 192.0.2.1:0: .*host=127.0.0.1"):
        listening("192.0.2.1", 0)  # an address of no machine


def test_what_cannot_be_served_is_told_before_anything_starts(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for words, message in (
        ([], "needs bundle="),
        ([f"bundle={tmp_path / 'nothing'}"], "No bundle at"),
        ([f"bundle={tmp_path / 'empty'}"], "is not a bundle. Make one: mtl-export"),
        ([f"bundle={tmp_path / 'empty'}", "prot=1"], "Did you mean 'port'"),
        ([f"bundle={tmp_path / 'empty'}", "port=x"], "port is 'x'; it is a whole number"),
        ([f"bundle={tmp_path / 'empty'}", "timeout_s=0"], "timeout_s is '0'"),
    ):
        assert cli.main_serve(words) == 2
        assert message in capsys.readouterr().err
    assert cli.main_serve(["--help"]) == 0
    assert "max_rows=10000" in capsys.readouterr().out
