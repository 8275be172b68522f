"""The application: what is asked by which address, and how it is answered."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from mtl_cli import __version__
from mtl_cli.bundles.example import example
from mtl_cli.bundles.manifest import Manifest, chosen_tasks
from mtl_cli.errors import UserError
from mtl_cli.inference.base import Predictor
from mtl_cli.serving.batching import Batcher, Busy
from mtl_cli.serving.figures import Figures
from mtl_cli.serving.guard import Guard
from mtl_cli.serving.limits import Limits
from mtl_cli.serving.requests import Inputs, csv_lines, rows_of
from mtl_cli.tables.given import Given

logger = logging.getLogger("mtl_cli")
ADDRESSES = "There are POST /predict, GET /health, GET /metrics and GET /docs."
TASKS = {
    "name": "tasks", "in": "query", "schema": {"type": "string"}, "description": "These tasks only, such as A,B.",
}  # fmt: skip
FILES = {"type": "object", "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}}}


def make_app(predictor: Predictor, manifest: Manifest, limits: Limits) -> Guard:
    """Return the application that serves a bundle.

    Raises:
        UserError: the bundle does not say what its inputs are.
    """
    kinds = [each.get("inputs", {}).get("kind") for each in manifest.data["datasets"].values()]
    if None in kinds:
        raise UserError(f"{manifest.folder} does not say what its inputs are, so no request could be checked.")
    figures, inputs = Figures(), Inputs(list(dict.fromkeys(kinds)), limits.max_rows)
    batcher: list[Batcher] = []

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with Batcher(predictor, limits, figures) as found:
            batcher.append(found)
            yield

    app = FastAPI(
        title="mtl-serve", version=__version__, lifespan=life, redoc_url=None,
        description=f"Predicts {', '.join(predictor.tasks)}. Columns: {', '.join(predictor.columns)}.",
    )  # fmt: skip

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return problem(
            error.status_code, f"{error.detail}. {ADDRESSES}" if error.status_code in (404, 405) else str(error.detail)
        )

    @app.post("/predict", openapi_extra={"requestBody": described(manifest, kinds), "parameters": [TASKS]})
    async def predict(request: Request) -> Response:
        """Return every task's prediction for each row, as JSON; as CSV where the client accepts text/csv."""
        return await answered(request, Service(inputs, manifest, batcher[0], limits))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Return that the model is loaded, and what it predicts."""
        return {"status": "ok", "tasks": predictor.tasks, "columns": predictor.columns, "mtl_cli": __version__}

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        """Return what was counted since the start, for Prometheus."""
        return PlainTextResponse(figures.text())

    return Guard(app, limits, figures)


@dataclass(frozen=True)
class Service:
    """What an answer needs: how inputs are read, what the bundle predicts, and who predicts it."""

    inputs: Inputs
    manifest: Manifest
    batcher: Batcher
    limits: Limits


async def answered(request: Request, service: Service) -> Response:
    """Return the predictions of a request, or what is wrong with it."""
    try:
        tasks = tasks_of(request, service.manifest)
        with tempfile.TemporaryDirectory() as folder:
            columns = await service.batcher.predict(await read(request, service.inputs, Path(folder)))
    except UserError as error:
        return problem(422, "\n".join(error.problems))
    except Busy:
        return problem(503, "Too many requests wait. Come again.", {"retry-after": "1"})
    except TimeoutError:
        return problem(504, f"The prediction took longer than {service.limits.timeout_s:g} seconds.")
    except HTTPException:
        raise
    except Exception as error:
        logger.error("A prediction failed: %s: %s", type(error).__name__, error)
        return problem(500, f"The prediction failed: {type(error).__name__}.")
    columns = {name: each for name, each in columns.items() if service.manifest.task_of(name) in tasks}
    if "text/csv" in request.headers.get("accept", ""):
        return PlainTextResponse("".join(csv_lines(columns)), media_type="text/csv")
    return JSONResponse({"predictions": rows_of(columns)})


def tasks_of(request: Request, manifest: Manifest) -> list[str]:
    """Return the tasks that a request wants, all by default.

    Raises:
        UserError: the bundle lacks one, or the address asks for something else.
    """
    asked = request.query_params
    if other := [key for key in asked if key != "tasks"]:
        raise UserError(f"/predict takes no '{other[0]}'; it takes ?tasks=A,B.")
    names = [name for each in asked.getlist("tasks") for name in each.split(",")]
    return chosen_tasks(manifest, names or None)


async def read(request: Request, inputs: Inputs, folder: Path) -> Given:
    """Return the inputs in a request; `folder` is there for the files that it sends.

    Raises:
        UserError: they cannot be read.
    """
    if (coding := request.headers.get("content-encoding", "identity")) != "identity":
        raise UserError(f"The body is compressed by {coding}, which is not read. Send it as it is.")
    header = Message()
    header["content-type"] = request.headers.get("content-type", "application/json")
    kind = header["content-type"].partition(";")[0].strip().lower()
    if kind == "application/json":
        return await asyncio.to_thread(inputs.of_json, await request.body())
    if kind == "text/csv":
        return await asyncio.to_thread(inputs.of_csv, await request.body(), header.get_content_charset("utf-8"))
    if kind == "multipart/form-data":
        async with request.form(max_files=inputs.max_rows, max_fields=0) as form:
            files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
            found = [(each.filename or "a file", await each.read()) for each in files]
        return await asyncio.to_thread(inputs.of_files, found, folder)
    if kind.startswith("image/"):
        return await asyncio.to_thread(inputs.of_images, [("the body", await request.body())])
    if kind.startswith("audio/"):
        name = f"the body.{kind.partition('/')[2].removeprefix('x-')}"
        return await asyncio.to_thread(inputs.of_files, [(name, await request.body())], folder)
    raise UserError(
        f"The content type is {kind}; it is application/json, text/csv, multipart/form-data, image/* or audio/*."
    )


def problem(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """Return an answer that says what is wrong."""
    return JSONResponse({"error": text}, status, headers)


def described(manifest: Manifest, kinds: list[Any]) -> dict[str, Any]:
    """Return what a request holds, for the OpenAPI page."""
    content: dict[str, Any] = {}
    if {"pictures", "sounds"} & set(kinds):
        content["multipart/form-data"] = {"schema": FILES}
    if set(kinds) - {"pictures", "sounds"}:
        content["application/json"] = {"schema": {"type": "object"}, "example": example(manifest.data["datasets"])}
        content["text/csv"] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}
