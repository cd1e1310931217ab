"""The methods of the two clients that transfer, create and delete models."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, TypeVar

from ollama_transport.client.files import AsyncPieces, Pieces
from ollama_transport.client.keyword_requests import whole_request
from ollama_transport.errors import AuthenticationError, StatusError
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.values.answers import Progress
from ollama_transport.wire.values.requests import CreateRequest

T = TypeVar("T")


class Transfers(ABC):
    """Methods that transfer, create and delete models, blocking."""

    @abstractmethod
    def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""

    @abstractmethod
    def stream(self, call: Call[T]) -> Generator[T]:
        """Send a call and yield its lines as they come."""

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        with closing(iter(Pieces(path))) as pieces:
            for piece in pieces:
                digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def pull_stream(self, model: str, *, insecure: bool = False) -> Generator[Progress]:
        """Download a model from its registry, yielding the progress; call again to resume."""
        return self.stream(native.pull(model, insecure=insecure))

    def push_stream(self, model: str, *, insecure: bool = False) -> Generator[Progress]:
        """Upload a model to its registry, yielding the progress."""
        return self.stream(native.push(model, insecure=insecure))

    def create_stream(self, request: CreateRequest) -> Generator[Progress]:
        """Create a model from another or from uploaded files, yielding the progress."""
        return self.stream(native.create(whole_request(CreateRequest, request)))

    def create_from_gguf(
        self,
        model: str,
        path: Path | str,
        *,
        system: str | None = None,
        template: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Progress:
        """Create a model from a GGUF file on disk, uploading the file unless the server has it.

        ``more`` are further fields of `CreateRequest`, such as ``license`` or ``quantize``.
        OSError is raised when the file cannot be read.
        """
        files = {Path(path).name: self.upload(path)}
        request = CreateRequest(
            model, files=files, system=system, template=template, parameters=parameters, **more
        )
        return self.send(native.create(request))

    def create_from_gguf_stream(
        self,
        model: str,
        path: Path | str,
        *,
        system: str | None = None,
        template: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Generator[Progress]:
        """Same as `create_from_gguf`, yielding the progress after the upload."""
        files = {Path(path).name: self.upload(path)}
        request = CreateRequest(
            model, files=files, system=system, template=template, parameters=parameters, **more
        )
        with closing(self.create_stream(request)) as steps:
            for step in steps:  # noqa: UP028 # the asynchronous twin cannot delegate
                yield step

    def upload(self, path: Path | str) -> str:
        """Upload a file, unless the server has it, and return its digest for `create`.

        The file is read twice, piece by piece: for its digest, and for the upload. OSError is
        raised when it cannot be read.
        """
        digest = self._digest(Path(path))
        # Checked first: the server answers an upload of a blob that it has without reading it, and
        # the connection is reset under the sender (wire reference 14).
        if not self._has_blob(digest):
            self.send(native.blob_upload(digest, Path(path)))
        return digest

    def _has_blob(self, digest: str) -> bool:
        try:
            self.send(native.blob_exists(digest))
        except AuthenticationError:
            raise
        except StatusError as error:
            # 404 means no; other answers of a proxy to HEAD say nothing about the blob. 400 means
            # an invalid digest (wire reference 5.7).
            if error.status == 400:
                raise
            return False
        return True

    def copy(self, source: str, destination: str) -> Progress:
        """Copy a model under a second name; the result has the status "success"."""
        return self.send(native.copy(source, destination))

    def delete(self, model: str) -> Progress:
        """Delete a model from the server; the result has the status "success"."""
        return self.send(native.delete(model))


class AsyncTransfers(ABC):
    """Methods that transfer, create and delete models, for asyncio."""

    @abstractmethod
    async def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""

    @abstractmethod
    def stream(self, call: Call[T]) -> AsyncGenerator[T]:
        """Send a call and yield its lines as they come."""

    async def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        async with aclosing(aiter(AsyncPieces(path))) as pieces:
            async for piece in pieces:
                digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def pull_stream(self, model: str, *, insecure: bool = False) -> AsyncGenerator[Progress]:
        """Download a model from its registry, yielding the progress; call again to resume."""
        return self.stream(native.pull(model, insecure=insecure))

    def push_stream(self, model: str, *, insecure: bool = False) -> AsyncGenerator[Progress]:
        """Upload a model to its registry, yielding the progress."""
        return self.stream(native.push(model, insecure=insecure))

    def create_stream(self, request: CreateRequest) -> AsyncGenerator[Progress]:
        """Create a model from another or from uploaded files, yielding the progress."""
        return self.stream(native.create(whole_request(CreateRequest, request)))

    async def create_from_gguf(
        self,
        model: str,
        path: Path | str,
        *,
        system: str | None = None,
        template: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Progress:
        """Create a model from a GGUF file on disk, uploading the file unless the server has it.

        ``more`` are further fields of `CreateRequest`, such as ``license`` or ``quantize``.
        OSError is raised when the file cannot be read.
        """
        files = {Path(path).name: await self.upload(path)}
        request = CreateRequest(
            model, files=files, system=system, template=template, parameters=parameters, **more
        )
        return await self.send(native.create(request))

    async def create_from_gguf_stream(
        self,
        model: str,
        path: Path | str,
        *,
        system: str | None = None,
        template: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> AsyncGenerator[Progress]:
        """Same as `create_from_gguf`, yielding the progress after the upload."""
        files = {Path(path).name: await self.upload(path)}
        request = CreateRequest(
            model, files=files, system=system, template=template, parameters=parameters, **more
        )
        async with aclosing(self.create_stream(request)) as steps:
            async for step in steps:
                yield step

    async def upload(self, path: Path | str) -> str:
        """Upload a file, unless the server has it, and return its digest for `create`.

        The file is read twice, piece by piece: for its digest, and for the upload. OSError is
        raised when it cannot be read.
        """
        digest = await self._digest(Path(path))
        # Checked first: the server answers an upload of a blob that it has without reading it, and
        # the connection is reset under the sender (wire reference 14).
        if not await self._has_blob(digest):
            await self.send(native.blob_upload(digest, Path(path)))
        return digest

    async def _has_blob(self, digest: str) -> bool:
        try:
            await self.send(native.blob_exists(digest))
        except AuthenticationError:
            raise
        except StatusError as error:
            # 404 means no; other answers of a proxy to HEAD say nothing about the blob. 400 means
            # an invalid digest (wire reference 5.7).
            if error.status == 400:
                raise
            return False
        return True

    async def copy(self, source: str, destination: str) -> Progress:
        """Copy a model under a second name; the result has the status "success"."""
        return await self.send(native.copy(source, destination))

    async def delete(self, model: str) -> Progress:
        """Delete a model from the server; the result has the status "success"."""
        return await self.send(native.delete(model))
