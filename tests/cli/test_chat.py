"""Talking to a model: through a pipe, and at a terminal."""

from typing import Any

import pytest
from recorded import recording
from terminals import Ext, Opens

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply, Request


def _line(text: str = "", *, thinking: str = "", done: bool = False) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    counts = {"done_reason": "stop", "prompt_eval_count": 7, "eval_count": 4,
              "eval_duration": 2_000_000_000, "total_duration": 3_000_000_000}  # fmt: skip
    line = {"model": "demo", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done}
    return {**line, **counts} if done else line


def _say(server: EmbeddedOllama, *texts: str, thinking: str = "", **how: Any) -> None:
    thoughts = [_line(thinking=thinking)] if thinking else []
    lines = [*thoughts, *(_line(text) for text in texts), _line(done=True)]
    server.script("POST", "/api/chat", Reply.lines(lines, **how))


def _said(request: Request) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in request.json["messages"]]


def test_piped_question_gets_the_answer_alone(ext: Ext, server: EmbeddedOllama) -> None:
    """A question by standard input: the answer alone is standard output, to the letter."""
    texts = ["a\ttab, ", "[bold]no[/bold] markup, ", ":tada: red\n", "  end"]
    _say(server, *texts, thinking="hm, [let] me see")
    found = ext("chat", "demo", host=server.url, stdin="What?\nAnd why?\n")
    assert (found.code, found.out) == (0, "".join(texts) + "\n")
    assert "hm, [let] me see" in found.err
    assert "7 prompt tokens, 4 tokens, 2.00 tokens/s, 3.00 s" in found.err
    assert _said(server.requests[-1]) == [("user", "What?\nAnd why?")]


# C0, C1, directions, what has no width, tags, and joiners where they join nothing.
HARMFUL = [
    *(chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))),
    *(chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F))),
    *(chr(code) for code in (0xAD, 0x200B, 0x200C, 0x200D, *range(0x2060, 0x2070), 0xFEFF)),
    *(chr(code) for code in (0x2028, 0x2029, 0x180E, 0xFFF9, 0xE0001, 0xE0041)),
]


def test_a_piped_answer_has_no_hidden_characters(ext: Ext, server: EmbeddedOllama) -> None:
    """What steers a terminal, turns the text's direction or hides in it is left out of a pipe."""
    _say(server, *(f"a{harmful}b" for harmful in HARMFUL), thinking="-".join(["a", *HARMFUL, "b"]))
    found = ext("chat", "demo", host=server.url, stdin="What?")
    assert found.out == "ab" * len(HARMFUL) + "\n"
    assert not set(HARMFUL) - {"\n"} & set(found.err)


def test_letters_that_need_joiners_keep_them(ext: Ext, server: EmbeddedOllama) -> None:
    """Persian words and emoji of several people are written as the model wrote them."""
    text = "می\u200cخواهم 👩\u200d👩\u200d👧"
    _say(server, text)
    assert ext("chat", "demo", host=server.url, stdin="What?").out == text + "\n"


def test_no_format_character_reaches_a_terminal(terminal: Opens, server: EmbeddedOllama) -> None:
    """The conversation at a terminal leaves out the same characters."""
    _say(server, *(f"a{harmful}b" for harmful in HARMFUL if harmful > "\x9f"), "END")
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("hello")
    screen.expect("END")
    assert "abab" in screen.text
    assert not {harmful for harmful in HARMFUL if harmful > "\x9f"} & set(screen.raw)


def test_a_servers_error_is_shown_without_hidden_characters(
    ext: Ext, server: EmbeddedOllama
) -> None:
    """The text of a refusal is a server's as well."""
    server.script("POST", "/api/chat", Reply.error(400, "out \u202eof\u2066 \x1b[31mluck\x9b"))
    found = ext("chat", "demo", host=server.url, stdin="What?")
    assert found.code == 1
    assert "out of [31mluck" in found.err


def test_options_reach_the_server(ext: Ext, server: EmbeddedOllama) -> None:
    """System message, thinking, temperature and context are sent as asked."""
    ext(
        "chat", "demo", "--system", "Be brief.", "--think", "off", "--temperature", "0",
        "--num-ctx", "64", host=server.url, stdin="hello",
    )  # fmt: skip
    body = server.requests[-1].json
    assert body["think"] is False
    assert body["options"] == {"temperature": 0, "num_ctx": 64}
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_options_that_are_not_given_are_not_sent(ext: Ext, server: EmbeddedOllama) -> None:
    """Without options the server's and the model's own hold."""
    ext("chat", "demo", host=server.url, stdin="hello")
    assert not {"options", "think"} & server.requests[-1].json.keys()


@pytest.mark.parametrize(("level", "sent"), [("on", True), ("low", "low"), ("max", "max")])
def test_ways_to_think(ext: Ext, server: EmbeddedOllama, level: str, sent: object) -> None:
    """Every way to think is sent as the server knows it."""
    ext("chat", "demo", "--think", level, host=server.url, stdin="hello")
    assert server.requests[-1].json["think"] == sent


def test_default_model_is_the_first_that_can_chat(ext: Ext) -> None:
    """Without a name the first model that can chat answers, not one that embeds."""
    models = [EmbeddedModel("talker"), EmbeddedModel("embedder", ("embedding",))]
    with EmbeddedOllama(models, demo=False) as server:
        assert ext("chat", host=server.url, stdin="hello").code == 0
        assert server.requests[-1].json["model"] == "talker:latest"


def test_no_model_that_can_chat_is_four(ext: Ext) -> None:
    """A server without such a model says how to get one."""
    with EmbeddedOllama([EmbeddedModel("embedder", ("embedding",))], demo=False) as server:
        found = ext("chat", host=server.url, stdin="hello")
    assert found.code == 4
    assert "ollama pull" in found.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "hint"),
    [
        ([], "", "standard input is empty"),
        ([], " \n", "standard input is empty"),
        ([], b"\xff\xfe\x00", "not text in UTF-8"),
        (["--think", "maybe"], "hello", "give one of on, off"),
        (["--num-ctx", "0"], "hello", "0"),
        (["--temperature", "warm"], "hello", "warm"),
    ],
)
def test_an_empty_prompt_exits_with_2(
    ext: Ext, server: EmbeddedOllama, arguments: list[str], stdin: str | bytes, hint: str
) -> None:
    """Empty input, bytes that are no text, and values that mean nothing exit with 2."""
    found = ext("chat", "demo", *arguments, host=server.url, stdin=stdin)
    assert (found.code, found.out) == (2, "")
    assert hint in found.err or "--" in found.err
    assert [r for r in server.requests if r.path == "/api/chat"] == []


def test_answer_that_fails_is_one(ext: Ext, server: EmbeddedOllama) -> None:
    """An answer that fails on its way leaves what came on stdout, and exits with 1."""
    lines = [_line("The answer"), {"error": "an error was encountered while running the model"}]
    server.script("POST", "/api/chat", Reply.lines(lines))
    found = ext("chat", "demo", host=server.url, stdin="hello")
    assert found.code == 1
    assert found.out == "The answer"
    assert "an error was encountered" in found.err


def test_answer_that_is_cut_is_one(ext: Ext, server: EmbeddedOllama) -> None:
    """An answer without its end is no success."""
    server.script("POST", "/api/chat", Reply.lines([_line("The answer")], cut=True))
    found = ext("chat", "demo", host=server.url, stdin="hello")
    assert found.code == 1
    assert "was cut off" in found.err


def test_model_that_cannot_think_is_one(ext: Ext, server: EmbeddedOllama) -> None:
    """What the model cannot do is told in the server's words."""
    found = ext("chat", "demo-vision", "--think", "on", host=server.url, stdin="hello")
    assert found.code == 1
    assert "thinking" in found.err


def test_prompt_that_is_too_long_is_warned_of(ext: Ext, server: EmbeddedOllama) -> None:
    """A prompt that the server has to cut is answered, with a warning of one line."""
    refused = recording("errors/overflow-refused-native")
    server.script("POST", "/api/chat", Reply.raw(refused.data, status=refused.status))
    _say(server, "So be it.")
    found = ext("chat", "demo", host=server.url, stdin="much")
    assert (found.code, found.out) == (0, "So be it.\n")
    warnings = [line for line in found.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "warnings.warn" not in found.err


def test_recorded_answer(ext: Ext, server: EmbeddedOllama) -> None:
    """What a real Ollama streamed arrives whole."""
    recorded = recording("chat/tiny-chat/hello-stream")
    server.script("POST", "/api/chat", Reply.raw(chunks=recorded.chunks))
    found = ext("chat", "demo", host=server.url, stdin="hello")
    assert found.out == "".join(line["message"]["content"] for line in recorded.objects) + "\n"


def test_openai_compatible_server(ext: Ext, server: EmbeddedOllama) -> None:
    """Over /v1, where models are listed and not described, chat takes the first model."""
    server.script("GET", "/v1/models", Reply.json({"data": [{"id": "demo"}]}), repeat=True)
    server.script("POST", "/api/show", Reply.text("404 page not found", status=404), repeat=True)
    assert ext("chat", host=f"{server.url}/v1", stdin="hello").code == 0
    assert server.requests[-1].path == "/v1/chat/completions"
    assert server.requests[-1].json["model"] == "demo"
    found = ext("chat", "nope", host=f"{server.url}/v1", stdin="hello")
    assert found.code == 4
    assert "it has demo" in found.err


def test_conversation_at_the_terminal(terminal: Opens, server: EmbeddedOllama) -> None:
    """The REPL streams, dims thoughts, tells the speed, remembers, and ends at Ctrl-D with 0."""
    _say(server, "I am ", "fine.", thinking="They greet me.")
    _say(server, "Still fine.")
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("How are you?")
    screen.expect("They greet me.")
    screen.expect("I am fine.")
    screen.expect("4 tokens, 2.00 tokens/s")
    assert "\x1b[2;3mThey greet me.\x1b[0m" in screen.raw
    screen.expect(">>> ")
    screen.enter("And now?")
    screen.expect("Still fine.")
    screen.expect(">>> ")
    screen.type("\x04")
    assert screen.end() == 0
    assert _said(server.requests[-1]) == [
        ("user", "How are you?"),
        ("assistant", "I am fine."),
        ("user", "And now?"),
    ]


def test_pieces_arrive_before_the_answer_is_complete(
    terminal: Opens, server: EmbeddedOllama
) -> None:
    """The answer is shown as it comes, not at its end."""
    gate = Gate()
    _say(server, "early", "late", gate=gate, hold_at=1)
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("hello")
    screen.expect("early")
    assert "late" not in screen.text
    gate.set()
    screen.expect("late")


def test_interrupt_ends_the_answer_and_not_the_conversation(
    terminal: Opens, server: EmbeddedOllama
) -> None:
    """Ctrl-C in an answer stops the server and returns to the prompt; what came is remembered."""
    reply = Reply.lines([_line("on "), _line("and ")], forever=True, chunk_delay_s=0.01)
    server.script("POST", "/api/chat", reply)
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("Go on.")
    screen.expect("on and and")
    screen.interrupt("interrupted")
    screen.expect(">>> ")
    assert server.wait_for_disconnects(1)
    _say(server, "Well.")
    screen.enter("Enough?")
    screen.expect("Well.")
    before, answer, last = _said(server.requests[-1])
    assert before == ("user", "Go on.")
    assert answer[1].startswith("on and ")
    assert last == ("user", "Enough?")
    assert "Traceback" not in screen.text


def test_interrupt_while_the_model_loads(terminal: Opens, server: EmbeddedOllama) -> None:
    """Ctrl-C before the first piece returns to the prompt, and the question is forgotten."""
    _say(server, "never", gate=Gate())
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("Anybody?")
    screen.expect("waiting for the model")
    assert server.wait_for_requests(2)
    screen.interrupt(">>> ")
    _say(server, "Yes.")
    screen.enter("Now?")
    screen.expect("Yes.")
    assert _said(server.requests[-1]) == [("user", "Now?")]


def test_interrupt_at_the_prompt_clears_the_line(terminal: Opens, server: EmbeddedOllama) -> None:
    """Ctrl-C at the prompt drops what was typed and says how to leave."""
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.type("half a quest")
    screen.expect("half a quest")
    screen.interrupt("Ctrl-D ends.")
    screen.expect(">>> ")
    screen.enter("/bye")
    assert screen.end() == 0
    assert [r for r in server.requests if r.path == "/api/chat"] == []


def test_history_of_the_prompt(terminal: Opens, server: EmbeddedOllama) -> None:
    """The arrow keys bring back what was asked, and let it be changed."""
    _say(server, "One.")
    _say(server, "Two.")
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("Count")
    screen.expect("One.")
    screen.expect(">>> ")
    screen.type("\x1b[A")
    screen.expect("Count")
    screen.enter(" on")
    screen.expect("Two.")
    assert _said(server.requests[-1])[-1] == ("user", "Count on")


def test_commands_of_the_conversation(terminal: Opens, server: EmbeddedOllama) -> None:
    """/system sets the system message, /clear forgets, an unknown command is told."""
    screen = terminal("chat", "demo", host=server.url)
    for typed, told in [
        ("/system Be brief.", "System message set."),
        ("/nonsense", "/nonsense is not a command"),
        ("/help", "/clear starts over"),
        ("hello", "tokens/s"),
        ("/clear", "The conversation starts over."),
        ("again", "tokens/s"),
        ("/system", "System message removed."),
        ("", ""),
        ("more", "tokens/s"),
    ]:
        screen.expect(">>> ")
        screen.enter(typed)
        screen.expect(told)
    asked = [_said(r) for r in server.requests if r.path == "/api/chat"]
    assert asked[0] == [("system", "Be brief."), ("user", "hello")]
    assert asked[1] == [("system", "Be brief."), ("user", "again")]
    assert [role for role, _ in asked[2]] == ["user", "assistant", "user"]


def test_failure_returns_to_the_prompt(terminal: Opens, server: EmbeddedOllama) -> None:
    """An answer that fails is told, forgotten, and the conversation goes on."""
    server.script("POST", "/api/chat", Reply.lines([_line("half "), {"error": "out of luck"}]))
    _say(server, "Fine.")
    screen = terminal("chat", "demo", host=server.url)
    screen.expect(">>> ")
    screen.enter("first")
    screen.expect("out of luck")
    screen.expect(">>> ")
    screen.enter("second")
    screen.expect("Fine.")
    assert _said(server.requests[-1]) == [("user", "second")]


def test_terminal_gets_no_markup_no_control_and_no_wrapping(
    terminal: Opens, server: EmbeddedOllama
) -> None:
    """In a narrow terminal a piece is printed as it is; what would steer the terminal is not."""
    long = "Donaudampfschifffahrtsgesellschaft " * 3
    _say(server, "[bold]x[/bold] :tada: ", "\x1b]0;title\x07\x1b[31m\x9b31m", long, "END")
    screen = terminal("chat", "demo", host=server.url, columns=20)
    screen.expect(">>> ")
    screen.enter("hello")
    screen.expect("END")
    assert f"[bold]x[/bold] :tada: ]0;title[31m31m{long}END" in screen.text
    assert "\x1b[31m" not in screen.raw
    assert "\x1b]0;" not in screen.raw


def test_an_unknown_model_is_reported_before_the_prompt(
    terminal: Opens, server: EmbeddedOllama
) -> None:
    """A model that is not there ends the conversation before it begins."""
    screen = terminal("chat", "nope", host=server.url)
    assert screen.end() == 4
    assert ">>>" not in screen.text
    assert "ollama pull nope" in screen.text.replace("\n", "")
