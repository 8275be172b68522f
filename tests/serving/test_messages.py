"""What a client is told, in one process: each message is that of what was sent, and its way out works."""

import gzip
import json

import numpy as np
import pytest
from starlette.testclient import TestClient

from mtl_cli.inference.base import Predictor
from mtl_cli.serving.app import make_app
from mtl_cli.serving.limits import Limits
from mtl_cli.tables.reading import require_columns


class Manifest:
    """A manifest of two tasks."""

    def __init__(self):
        self.folder, self.tasks = "bundle", ["y", "z"]
        self.data = {"datasets": {"d": {"inputs": {"kind": "rows", "table": None, "text": None}}}}

    def task_of(self, column):
        return column


class Sums(Predictor):
    """Predicts the sum of two columns, or of arrays."""

    @property
    def tasks(self):
        return ["y", "z"]

    columns = tasks

    def predict_given(self, inputs, batch_size):
        if inputs.table is None:
            sums = np.asarray(inputs.arrays).sum(axis=1)
        else:
            require_columns(["a", "b"], inputs.table.column_names, "The input")
            sums = sum(inputs.table.column(name).cast("float64").to_numpy() for name in "ab")
        return {"y": sums, "z": -sums}

    def predict_path(self, path, batch_size):
        raise NotImplementedError


@pytest.fixture(scope="module")
def client():
    with TestClient(make_app(Sums(), Manifest(), Limits(max_rows=3, max_mb=0.001))) as found:
        yield found


JSON, CSV = {"content-type": "application/json"}, {"content-type": "text/csv"}
FORM = 'Give {"rows": [{"column": value, …}, …]}, or as /docs shows it.'
WRONG_JSON = {
    "": "The body is not JSON",
    '{"rows": [{"a": 1,}]}': "The body is not JSON: ",
    "5": f"The body holds a number, not a list. {FORM}",
    "null": f"The body holds null, not a list. {FORM}",
    '"a"': f"The body holds a text, not a list. {FORM}",
    '{"rows": {"a": 1, "b": 2}}': f"The body holds an object, not a list. {FORM}",
    '{"a": 1, "b": 2}': f"The body has the keys a, b; it has one of rows, texts, sentences, arrays. {FORM}",
    '{"rows": []}': "The request has 0 rows; it has 1 to 3.",
    "[1, 2, 3, 4]": "The request has 4 rows; it has 1 to 3.",
    '[{"a": 1, "b": 2}, {}]': f"The input, row 2, is empty. {FORM}",
    '[{"a": 1, "b": 2}, 5]': f"The input, row 2, is a number. {FORM}",
    '[5, {"a": 1, "b": 2}]': f"The input, row 1, is a number. {FORM}",
    '{"rows": [[1, 2]]}': f"The input, row 1, is a list. {FORM}",
    '{"rows": [null]}': f"The input, row 1, is null. {FORM}",
    '[{"a": [1], "b": 2}]': "The input, row 1, column 'a': a list is not a cell.",
    '[{"a": 1, "a": 2, "b": 3}]': "an object has the key 'a' twice",
    '[{"a": "\\ud800", "b": 2}]': "The body holds half a character: '\\ud800'.",
    '{"arrays": [[1, 2], [3]]}': "The input is neither an array (lists of numbers, all as long) nor sentences",
}


def told(answer, status=422):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


@pytest.mark.parametrize("body", WRONG_JSON)
def test_json_of_another_form_is_told(client, body):
    assert WRONG_JSON[body] in told(client.post("/predict", content=body, headers=JSON))


WRONG_CSV = {
    b"": "The body is not CSV",
    b"a,b\n": "The request has 0 rows",
    b"a,b\n1,2\n3\n": "Expected 2 columns, got 1",
    b"a;b\n1;2\n": "The body has ';' between its cells; in text/csv a comma is.",
    b'a,b\n1,"2\n3,"4"\n': "The body, row 1 (line 2): a cell starts with a quote that is not closed",
    b"a,b\n1,\xf6\n": "The body is not CSV in utf-8",
}


@pytest.mark.parametrize("body", WRONG_CSV)
def test_csv_that_cannot_be_read_is_told(client, body):
    assert WRONG_CSV[body] in told(client.post("/predict", content=body, headers=CSV))


def test_what_the_messages_propose_works(client):
    found = {"predictions": [{"y": 3.0, "z": -3.0}]}
    assert client.post("/predict", json={"rows": [{"a": 1, "b": 2}]}).json() == found
    assert client.post("/predict", content=b"\xef\xbb\xbfa,b\n1,2\n", headers=CSV).json() == found
    latin = client.post(
        "/predict", content="a,b,ö\n1,2,ü\n".encode("latin-1"), headers={"content-type": "text/csv; charset=latin-1"}
    )
    assert latin.json() == found
    for word in ("tasks=z", "tasks=z,z"):
        assert client.post(f"/predict?{word}", json=[{"a": 1, "b": 2}]).json() == {"predictions": [{"z": -3.0}]}
    assert client.post("/predict?tasks=z&tasks=y", json=[{"a": 1, "b": 2}]).json() == found
    assert client.post("/predict", json={"arrays": [[1, 2]]}).json() == found


def test_addresses_and_forms_that_are_not_there_are_told(client):
    known = "There are POST /predict, GET /health, GET /metrics and GET /docs."
    assert told(client.get("/predict"), 405) == f"Method Not Allowed. {known}"
    assert told(client.post("/predictions"), 404) == f"Not Found. {known}"
    for address in ("/health", "/metrics", "/docs"):
        assert client.get(address).status_code == 200
    assert (
        told(client.post("/predict?tasks=Y", json=[]))
        == "'Y' is not a task of this bundle. Did you mean 'y'? Those are y, z."
    )
    assert told(client.post("/predict?task=y", json=[])) == "/predict takes no 'task'; it takes ?tasks=A,B."
    packed = gzip.compress(json.dumps([{"a": 1, "b": 2}]).encode())
    said = told(client.post("/predict", content=packed, headers={**JSON, "content-encoding": "gzip"}))
    assert said == "The body is compressed by gzip, which is not read. Send it as it is."
    assert "The content type is text/plain; it is application/json" in told(
        client.post("/predict", content=b"a", headers={"content-type": "text/plain"})
    )
    assert told(client.post("/predict", content=b" " * 1001), 413) == "The request has 1001 bytes; 1000 are the most."
    assert told(client.post("/predict", json=[{"a": 1, "c": 2}])) == "The input has no column 'b'. Its columns: a, c."
