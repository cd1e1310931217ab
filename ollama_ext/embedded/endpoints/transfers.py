"""The endpoints ``/api/pull``, ``/api/push`` and ``/api/create`` (wire reference 5.5)."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded.answers.backend import Backend, Fields
from ollama_ext.embedded.endpoints.chat import backend_of
from ollama_ext.embedded.endpoints.requests import CREATE, PULL
from ollama_ext.embedded.llama.gguf import read_gguf
from ollama_ext.embedded.llama.process import has_llama
from ollama_ext.embedded.models.declared import EmbeddedModel, weights_model
from ollama_ext.embedded.models.store import Installed
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.names import ModelName, parse_name
from ollama_ext.embedded.protocol.responses import (
    BARE_JSON,
    NDJSON,
    json_response,
    native_lines,
    stream_response,
)

_NO_MANIFEST = "pull model manifest: file does not exist"
# Enough for a progress bar to move, few enough to read in a test.
_PROGRESS_STEPS = 4


async def pull(request: Request) -> Response:
    """Answer ``POST /api/pull``; an unknown model ends in an error line."""
    fields = PULL.read(await request.body())
    name = _asked_name(fields)
    return await _play(_pulled(backend_of(request), name), fields)


def _asked_name(fields: Fields) -> ModelName:
    name = parse_name(fields["model"] or fields["name"])
    if not name.valid:
        raise WireError(400, "invalid model name")
    return name


def _pulled(backend: Backend, name: ModelName) -> Iterator[Fields]:
    yield {"status": "pulling manifest"}
    model = backend.store.offered(name)
    if model is None:
        raise WireError(500, _NO_MANIFEST, early=False)
    yield from _layer_progress("pulling", backend.store.add(name, model))
    yield {"status": "verifying sha256 digest"}
    yield {"status": "writing manifest"}
    yield {"status": "success"}


def _layer_progress(verb: str, installed: Installed) -> Iterator[Fields]:
    digest, total = installed.layer, installed.size
    line: Fields = {"status": f"{verb} {digest[7:19]}", "digest": digest, "total": total}
    # ``completed`` is left out while it is 0.
    # Like Ollama, which sends it after the first byte.
    yield line
    for step in range(1, _PROGRESS_STEPS + 1):
        yield line | {"completed": total * step // _PROGRESS_STEPS}


async def push(request: Request) -> Response:
    """Answer ``POST /api/push``; there is no registry, so what is here counts as pushed."""
    fields = PULL.read(await request.body())
    if not (fields["model"] or fields["name"]):
        raise WireError(400, "model is required")
    return await _play(_pushed(backend_of(request), _asked_name(fields)), fields)


def _pushed(backend: Backend, name: ModelName) -> Iterator[Fields]:
    yield {"status": "retrieving manifest"}
    installed = backend.store.find(name)
    if installed is None:
        yield {"status": "couldn't retrieve manifest"}
        path = f"models/manifests/{name.host}/{name.namespace}/{name.model}/{name.tag}"
        raise WireError(500, f"open {path}: no such file or directory", early=False)
    yield from _layer_progress("pushing", installed)
    yield {"status": "pushing manifest"}
    yield {"status": "success"}


async def create(request: Request) -> Response:
    """Answer ``POST /api/create``: a model from another one, or from blobs."""
    fields = CREATE.read(await request.body())
    name = _asked_name(fields)
    if not fields["from"] and not fields["files"]:
        raise WireError(400, "neither 'from' or 'files' was specified", early=False)
    return await _play(_created(backend_of(request), name, fields), fields)


def _created(backend: Backend, name: ModelName, fields: Fields) -> Iterator[Fields]:
    if fields["from"]:
        source = parse_name(fields["from"])
        if backend.store.find(source) is None:
            yield from _missing_pulled(backend, source)
        base = backend.store.find(source)
        if base is None:
            raise WireError(500, _NO_MANIFEST, early=False)
        yield {"status": f"using existing layer {base.layer}"}
        model, parent = base.model, base.name.short
    else:
        yield {"status": "parsing GGUF"}
        model, parent = _from_files(backend, name, fields["files"]), ""
    entry = backend.store.add(name, _changed(model, fields), parent=parent)
    yield {"status": f"creating new layer sha256:{entry.digest}"}
    yield {"status": "writing manifest"}
    yield {"status": "success"}


def _missing_pulled(backend: Backend, source: ModelName) -> Iterator[Fields]:
    # Ollama pulls a missing ``from`` automatically; the last line belongs to the create.
    for line in _pulled(backend, source):
        if line["status"] != "success":
            yield line


def _from_files(backend: Backend, name: ModelName, files: Mapping[str, str]) -> EmbeddedModel:
    for digest in files.values():
        if digest not in backend.store.blobs:
            path = f"blobs/{digest.replace(':', '-')}"
            raise WireError(500, f"open {path}: no such file or directory", early=False)
    # Of several files one is the model, and the others are its projector or its parts.
    if len(files) != 1:
        raise WireError(400, "only one GGUF file is supported", early=False)
    try:
        weights = read_gguf(backend.store.blob_file(*files.values()))
    except ValueError as error:
        raise WireError(400, "unknown type", early=False) from error
    model = weights_model(name.model, weights)
    # Without llama.cpp, a rule-based model with the same capabilities takes its place.
    return model if has_llama() else replace(model, weights=None, tool_call_placement="own")


def _changed(model: EmbeddedModel, fields: Fields) -> EmbeddedModel:
    if model.weights is not None:
        _check_weights(fields)
    template = fields["template"] if fields["template"] else model.template
    capabilities = model.capabilities
    # That is how Ollama finds the capability too.
    if ".Tools" in template and "tools" not in capabilities:
        capabilities = (*capabilities, "tools")
    return replace(
        model,
        template=template,
        capabilities=capabilities,
        system=fields["system"] if fields["system"] else model.system,
        parameters={**model.parameters, **(fields["parameters"] or {})},
    )


def _check_weights(fields: Fields) -> None:
    # Ollama's own words for weights that are quantised already.
    if fields["quantize"]:
        raise WireError(400, "quantization is only supported for F16 and F32 models", early=False)
    for field in ("template", "adapters"):
        if fields[field]:
            text = f"{field} is not supported: llama.cpp runs the file unchanged"
            raise WireError(400, text, early=False)


async def _play(lines: Iterator[Fields], fields: Fields) -> Response:
    if fields["stream"] is False:
        last: Fields = {}
        try:
            for last in lines:  # noqa: B007 - the loop runs for its last value
                pass
        except WireError as error:
            raise WireError(error.status, error.text, early=False) from error
        return json_response(last, content_type=BARE_JSON)
    return await stream_response(native_lines(_each(lines)), NDJSON)


async def _each(lines: Iterator[Fields]) -> AsyncGenerator[Fields]:
    for line in lines:
        yield line


async def web(_request: Request) -> Response:
    """Answer ``/api/experimental/web_search`` and ``web_fetch``: this server is not signed in."""
    raise WireError(401, "unauthorized")
