"""The endpoints that list, describe, copy and delete models, and keep blobs (5.3 to 5.7, 9)."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from ollama_ext.embedded.answers.backend import VERSION, Fields
from ollama_ext.embedded.endpoints.chat import backend_of
from ollama_ext.embedded.endpoints.requests import COPY, DELETE, SHOW
from ollama_ext.embedded.llama.gguf import read_gguf
from ollama_ext.embedded.models.declared import EmbeddedModel
from ollama_ext.embedded.models.store import Installed, Loaded
from ollama_ext.embedded.protocol.decoding import decode_body
from ollama_ext.embedded.protocol.encoding import local_timestamp
from ollama_ext.embedded.protocol.failures import WireError
from ollama_ext.embedded.protocol.names import parse_name
from ollama_ext.embedded.protocol.responses import body_response, json_response

# Ollama takes the form with a hyphen too, the one of its file names.
_DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}\Z")
_Tensors = tuple[tuple[str, str, tuple[int, ...]], ...]
_DEFAULT_TEMPLATE = "{{ .Prompt }}"


async def root(_request: Request) -> Response:
    """Answer ``GET /``."""
    return body_response(b"Ollama is running", "text/plain; charset=utf-8")


async def version(_request: Request) -> Response:
    """Answer ``GET /api/version``."""
    return json_response({"version": VERSION})


async def status(_request: Request) -> Response:
    """Answer ``GET /api/status``: there is no cloud behind an embedded server."""
    return json_response({"cloud": {"disabled": True, "source": "config"}})


async def tags(request: Request) -> Response:
    """Answer ``GET /api/tags``."""
    return json_response({"models": [_listed(m) for m in backend_of(request).store.listed()]})


def _listed(installed: Installed) -> Fields:
    model = installed.model
    # These two are reported here and not in show (wire reference 9).
    lengths = {"context_length": model.context_length, "embedding_length": model.dimensions}
    return {
        "name": installed.name.short,
        "model": installed.name.short,
        "modified_at": local_timestamp(installed.modified_ns),
        "size": installed.size,
        "digest": installed.digest,
        "details": {**_details(installed), **lengths},
        "capabilities": list(model.capabilities),
    }


def _details(installed: Installed) -> Fields:
    family, weights = installed.model.family, installed.model.weights
    return {
        "parent_model": installed.parent,
        "format": "gguf",
        "family": family,
        "families": [family],
        # A rule-based model has no weights.
        "parameter_size": "0" if weights is None else weights.parameter_size,
        "quantization_level": "F32" if weights is None else weights.quantization,
    }


async def ps(request: Request) -> Response:
    """Answer ``GET /api/ps``; waits while a model is starting."""
    running = await backend_of(request).loader.running()
    return json_response({"models": [_running(loaded) for loaded in running]})


def _running(loaded: Loaded) -> Fields:
    installed = loaded.installed
    return {
        "name": installed.name.short,
        "model": installed.name.short,
        "size": installed.size,
        "digest": installed.digest,
        "details": _details(installed),
        "expires_at": local_timestamp(loaded.expires_ns),
        # As on a machine without a graphics card.
        "size_vram": 0,
        "context_length": loaded.num_ctx,
    }


async def show(request: Request) -> Response:
    """Answer ``POST /api/show``."""
    fields = decode_body(SHOW, await request.body())
    asked = fields["model"] or fields["name"]
    if not asked:
        raise WireError(400, "model is required")
    _, installed = backend_of(request).store.resolve(asked, "model '{short}' not found")
    return json_response(_shown(installed, verbose=fields["verbose"]))


def _shown(installed: Installed, *, verbose: bool) -> Fields:
    model = installed.model
    template = model.template if model.template else _DEFAULT_TEMPLATE
    parameters = _parameters(model)
    # Empty fields are left out, and the order is the wire's.
    shown: Fields = {"modelfile": _modelfile(installed, template)}
    if parameters:
        shown["parameters"] = "\n".join(f"{name:<30} {value}" for name, value in parameters)
    shown["template"] = template
    if model.system:
        shown["system"] = model.system
    return shown | {
        "details": _details(installed),
        "model_info": _model_info(model, verbose=verbose),
        "tensors": _tensors(model),
        "capabilities": list(model.capabilities),
        "modified_at": local_timestamp(installed.modified_ns),
    }


def _parameters(model: EmbeddedModel) -> list[tuple[str, str]]:
    lines = []
    for name, value in sorted(model.parameters.items()):
        values = value if isinstance(value, list) else [value]
        lines += [(name, f'"{item}"' if isinstance(item, str) else str(item)) for item in values]
    return lines


def _modelfile(installed: Installed, template: str) -> str:
    head = (
        '# Modelfile generated by "ollama show"\n'
        "# To build a new Modelfile based on this, replace FROM with:\n"
        f"# FROM {installed.name.short}\n\nFROM {installed.layer.replace(':', '-')}\n"
        f'TEMPLATE """{template}"""\n'
    )
    if installed.model.system:
        head += f'SYSTEM """{installed.model.system}"""\n'
    return head + "".join(f"PARAMETER {n} {v}\n" for n, v in _parameters(installed.model))


def _tensors(model: EmbeddedModel) -> list[Fields]:
    rules: _Tensors = (("rules", "F32", (model.dimensions,)),)
    tensors = rules if model.weights is None else model.weights.tensors
    return [{"name": name, "type": kind, "shape": shape} for name, kind, shape in tensors]


def _model_info(model: EmbeddedModel, *, verbose: bool) -> Fields:
    family, weights = model.family, model.weights
    if weights is not None:
        return (read_gguf(weights.path, arrays=True) if verbose else weights).info()
    return {
        "general.architecture": family,
        "general.description": model.about,
        "general.file_type": 0,
        "general.parameter_count": 0,
        f"{family}.block_count": 0,
        f"{family}.context_length": model.context_length,
        f"{family}.embedding_length": model.dimensions,
        "tokenizer.ggml.model": "words",
        # Long arrays are sent only with verbose.
        "tokenizer.ggml.tokens": [] if verbose else None,
    }


async def copy(request: Request) -> Response:
    """Answer ``POST /api/copy``: 200 and no body."""
    store = backend_of(request).store
    fields = decode_body(COPY, await request.body())
    source, destination = parse_name(fields["source"]), parse_name(fields["destination"])
    for field, name in (("source", source), ("destination", destination)):
        if not name.valid:
            raise WireError(400, f'{field} "{fields[field]}" is invalid')
    installed = store.find(source)
    if installed is None:
        raise WireError(404, f'model "{fields["source"]}" not found')
    store.add(destination, installed.model, parent=installed.parent)
    return body_response(b"", None)


async def delete(request: Request) -> Response:
    """Answer ``DELETE /api/delete``: 200 and no body."""
    backend = backend_of(request)
    fields = decode_body(DELETE, await request.body())
    asked = fields["model"] or fields["name"]
    if not asked:
        raise WireError(400, "model is required")
    name = parse_name(asked)
    if not name.valid:
        raise WireError(400, f'name "{asked}" is invalid')
    installed = backend.store.find(name)
    if installed is None:
        raise WireError(404, f"model '{asked}' not found")
    backend.loader.unload(installed)
    backend.store.remove(name)
    return body_response(b"", None)


async def head_blob(request: Request) -> Response:
    """Answer ``HEAD /api/blobs/{digest}``: whether the blob is here."""
    digest = _digest(request)
    if digest not in backend_of(request).store.blobs:
        raise WireError(404, f"open blobs/{digest.replace(':', '-')}: no such file or directory")
    return body_response(b"", None)


async def post_blob(request: Request) -> Response:
    """Answer ``POST /api/blobs/{digest}``: 201 when new, 200 when it was here."""
    blobs = backend_of(request).store.blobs
    digest = _digest(request)
    # For an existing blob the bytes are not read.
    if digest in blobs:
        return body_response(b"", None)
    body = await request.body()
    found = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if found != digest:
        raise WireError(400, f'digest mismatch, expected "{digest}", got "{found}"')
    blobs[digest] = body
    return body_response(b"", None, 201)


def _digest(request: Request) -> str:
    digest: str = request.path_params["digest"]
    if not _DIGEST.match(digest):
        raise WireError(400, "invalid digest format")
    return digest.replace("-", ":", 1)
