"""What a client has learnt about its server: for each model, bounded, and safe in threads."""

import threading

from ollama_transport.client.memory import ServerMemory

URL = "http://h/v1"


def test_threads_lose_nothing_of_what_the_others_learn() -> None:
    """Each part that any thread saw refused is remembered."""
    memory = ServerMemory()
    begin = threading.Barrier(8)

    def learn(number: int) -> None:
        begin.wait(20)
        for part in range(20):
            memory.refuse(frozenset({f"{number}-{part}"}), "m", URL)

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(memory.refused("m")) == 160


def test_the_latest_refusals_are_kept_and_no_more() -> None:
    """A gateway may have more models than a client should remember."""
    memory = ServerMemory()
    for number in range(1000):
        memory.refuse(frozenset({"strict"}), f"m{number}", URL)
    known = [number for number in range(1000) if memory.refused(f"m{number}")]
    assert known == [*range(1000 - len(known), 1000)]
    assert 100 < len(known) < 500
