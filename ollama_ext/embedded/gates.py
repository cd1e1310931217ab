"""Holding an answer back until a test says so, without sleeping."""

import asyncio
import contextlib
import threading


class Gate(threading.Event):
    """A ``threading.Event`` that the embedded server can await: give it as ``gate=``, then set it.

    Set it from any thread. A gate stays open once it is set, until ``clear()``.

    ```python
    import threading

    from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
    from ollama_transport import Client

    gate = Gate()
    with EmbeddedOllama() as server, Client(server.url) as client:
        server.script([Reply.chat("At last.", gate=gate)])
        question = [{"role": "user", "content": "Hello"}]
        asking = threading.Thread(target=lambda: print(client.chat("demo", question).text))
        asking.start()
        server.wait_for_requests(1)
        print("asked, and not answered yet")
        gate.set()
        asking.join()
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def set(self) -> None:
        """Open the gate and let every answer held by it go on."""
        # The list is taken under the lock, so that no waiter is missed.
        with self._guard:
            super().set()
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            # A test may open the gate while its server stops, or after that.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_open, future)

    async def passed(self) -> None:
        """Wait on the running event loop until the gate is open."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._guard:
            if self.is_set():
                return
            self._waiting.append((loop, future))
        await future


# Its waiter may have been cancelled meanwhile, by a client that left.
def _open(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
