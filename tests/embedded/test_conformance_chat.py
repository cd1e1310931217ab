"""Wire reference 11, cases 24 to 41, 50 to 62 and 71 to 73: /api/chat."""

import json
import re

import pytest

HI = [{"role": "user", "content": "Hello"}]
U = {"messages": HI, "options": {"num_predict": 8}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
PARIS = {
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "tools": [WEATHER],
}
BOTH = [{"role": "user", "content": "What is the weather in Paris and London?"}]
METRICS = [
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
]
LONG = "Why is the sky blue? " * 1200
HEAD = ["model", "created_at", "message", "done"]


def check_last(line):
    """The last line of a stream has its reason and all six metrics, whole and positive."""
    assert list(line) == [*HEAD, "done_reason", *METRICS]
    assert line["done"] is True
    assert all(isinstance(line[name], int) and line[name] > 0 for name in METRICS)


def test_case_24_lenient_fields(target):
    """Field names ignore case, and what follows the first JSON value is ignored."""
    body = target.fit(
        '{"MODEL":"@plain","Stream":false,"messages":[{"role":"user","content":"Hello"}]} junk'
    )
    response = target.http.post("/api/chat", content=body)
    assert response.status_code == 200


def test_case_25_unknown_field(target):
    """An unknown field is ignored."""
    body = {"model": "@plain", **U, "stream": False, "colour": {"x": [1]}}
    assert target.post("/api/chat", body).status_code == 200


@pytest.mark.parametrize(
    "stream", [pytest.param({}, id="case26"), pytest.param({"stream": None}, id="case27")]
)
def test_streams_by_default(target, stream):
    """Without a stream field, or with null, the answer is a stream that ends with its metrics."""
    lines = target.lines("/api/chat", {"model": "@plain", **U, **stream})
    assert len(lines) > 1
    assert all(list(line) == HEAD and line["done"] is False for line in lines[:-1])
    assert all(line["message"]["role"] == "assistant" for line in lines)
    check_last(lines[-1])


def test_case_28_whole_answer(target):
    """stream:false gives one JSON object."""
    response = target.post("/api/chat", {"model": "@plain", **U, "stream": False})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    check_last(response.json())


def test_case_29_the_model_is_echoed(target):
    """The model's name is looked up without case and echoed as it was written."""
    name = target.model("native").upper()
    response = target.post("/api/chat", {"model": name, **U, "stream": False})
    assert response.json()["model"] == name


@pytest.mark.parametrize(("content", "kind"), [(5, "number"), ([{"type": "text"}], "array")])
def test_case_30_content_of_a_wrong_type(target, content, kind):
    """Content that is no text is refused by its field's name."""
    body = {"model": "@native", "messages": [{"role": "user", "content": content}]}
    response = target.post("/api/chat", body)
    field = "ChatRequest.messages.content"
    text = f"json: cannot unmarshal {kind} into Go struct field {field} of type string"
    assert (response.status_code, response.json()) == (400, {"error": text})


@pytest.mark.parametrize("name", ["native", "builtin"])
def test_case_31_thinks_by_default(target, name):
    """A model that can think does so unasked: lines with thinking, then lines with content."""
    target.needs(name, "thinking")
    body = {"model": f"@{name}", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    lines = target.lines("/api/chat", body)
    kinds = ["thinking" if "thinking" in line["message"] else "content" for line in lines[:-1]]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"thinking", "content"}
    assert lines[0]["message"]["content"] == ""


@pytest.mark.parametrize("think", [True, "low"])
def test_case_32_thinking_refused(target, think):
    """A model that cannot think refuses to, in quotes."""
    response = target.post("/api/chat", {"model": "@plain", **U, "think": think})
    wanted = target.fit('"@plain" does not support thinking')
    assert (response.status_code, response.json()) == (400, {"error": wanted})


def test_case_33_think_false_is_always_fine(target):
    """think:false is accepted by a model that cannot think."""
    body = {"model": "@plain", **U, "think": False, "stream": False}
    assert target.post("/api/chat", body).status_code == 200


def test_case_34_think_max(target):
    """think:"max" is a level that every thinking model takes."""
    target.needs("builtin", "thinking")
    body = {"model": "@builtin", **U, "think": "max", "stream": False}
    assert target.post("/api/chat", body).status_code == 200


LEVELS = '"high", "medium", "low", "max", true, or false'
REFUSED = [
    ("35", {"think": "extreme"}, 400, f'invalid think value: "extreme" (must be {LEVELS})'),
    ("35", {"think": 1}, 400, f"think must be a boolean or string ({LEVELS})"),
    (
        "53",
        {"options": {"temperature": "hot"}},
        500,
        'option "temperature" must be of type float32',
    ),
    ("54", {"options": {"num_ctx": "4096"}}, 500, 'option "num_ctx" must be of type integer'),
    ("55", {"options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
    ("55", {"options": {"stop": [1]}}, 500, 'option "stop" must be of an array of strings'),
    ("use_mmap", {"options": {"use_mmap": 1}}, 500, 'option "use_mmap" must be of type boolean'),
    (
        "57",
        {"options": []},
        400,
        "json: cannot unmarshal array into Go struct field ChatRequest.options of type "
        "map[string]interface {}",
    ),
    (
        "58",
        {"format": "xml"},
        500,
        'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
    ),
    ("60", {"keep_alive": "10"}, 400, 'time: missing unit in duration "10"'),
    ("60", {"keep_alive": "-1"}, 400, 'time: missing unit in duration "-1"'),
    ("60", {"keep_alive": ""}, 400, 'time: invalid duration ""'),
    ("60", {"keep_alive": "banana"}, 400, 'time: invalid duration "banana"'),
    ("60", {"keep_alive": True}, 400, "Unsupported type: 'bool'"),
    ("60", {"keep_alive": {}}, 400, "Unsupported type: 'map[string]interface {}'"),
    ("71", {"top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
]


@pytest.mark.parametrize(
    ("fields", "status", "text"), [pytest.param(*c[1:], id=f"case{c[0]}") for c in REFUSED]
)
def test_refused_fields(target, fields, status, text):
    """A field of a wrong type or value gets Ollama's status and words."""
    response = target.post("/api/chat", {"model": "@plain", "messages": HI, **fields})
    assert (response.status_code, response.json()) == (status, {"error": text})


def test_case_36_tools_refused(target):
    """A model without tools refuses them under its full name, without quotes."""
    response = target.post("/api/chat", {"model": "@plain", **PARIS})
    wanted = target.fit("registry.ollama.ai/library/@@plain does not support tools")
    assert (response.status_code, response.json()) == (400, {"error": wanted})


def called(target, name, body=PARIS):
    """The lines of a stream in which a model calls a tool; skips when it calls none."""
    lines = target.lines("/api/chat", {"model": f"@{name}", "think": False, **body})
    if not any("tool_calls" in line["message"] for line in lines):
        target.only_ours("the model called no tool")
    return lines


def test_case_37_native_route_calls_on_the_last_line(target):
    """The native route carries tool calls on the done:true line alone."""
    lines = called(target, "native")
    assert not any("tool_calls" in line["message"] for line in lines[:-1])
    assert lines[-1]["done"] is True
    assert lines[-1]["done_reason"] == "stop"
    (call,) = lines[-1]["message"]["tool_calls"]
    assert len(call["id"]) == 32
    assert call["function"]["arguments"]["city"] == "Paris"


@pytest.mark.parametrize("name", ["gotmpl", "builtin"])
def test_case_38_rendered_route_calls_on_own_lines(target, name):
    """The rendered route carries each tool call on a line of its own before the last."""
    target.needs(name, "tools")
    lines = called(target, name)
    own = [line for line in lines if "tool_calls" in line["message"]]
    assert all(line["done"] is False and len(line["message"]["tool_calls"]) == 1 for line in own)
    assert re.fullmatch("call_[a-z0-9]{8}", own[0]["message"]["tool_calls"][0]["id"])
    assert lines[-1]["message"] == {"role": "assistant", "content": ""}
    check_last(lines[-1])


@pytest.mark.parametrize("name", ["native", "gotmpl"])
def test_case_39_whole_tool_calls(target, name):
    """In a whole answer a call has an id and a function with index, name and an object."""
    body = {"model": f"@{name}", **PARIS, "stream": False, "think": False}
    message = target.post("/api/chat", body).json()["message"]
    if "tool_calls" not in message:
        target.only_ours("the model called no tool")
    (call,) = message["tool_calls"]
    assert list(call) == ["id", "function"]
    assert list(call["function"]) == ["index", "name", "arguments"]
    assert call["function"]["index"] == 0
    assert isinstance(call["function"]["arguments"], dict)


@pytest.mark.parametrize("arguments", ["{}", '{"a":1}'])
def test_case_40_arguments_as_text(target, arguments):
    """Arguments in the history have to be an object."""
    call = {"function": {"name": "f", "arguments": arguments}}
    messages = [*HI, {"role": "assistant", "content": "", "tool_calls": [call]}]
    response = target.post("/api/chat", {"model": "@native", "messages": messages})
    wanted = {"error": "Value looks like object, but can't find closing '}' symbol"}
    assert (response.status_code, response.json()) == (400, wanted)


@pytest.mark.parametrize("name", ["native", "gotmpl"])
def test_case_41_parallel_calls(target, name):
    """Two calls have the indexes 0 and 1 and ids of their own."""
    lines = called(target, name, {"messages": BOTH, "tools": [WEATHER]})
    calls = [call for line in lines for call in line["message"].get("tool_calls", ())]
    if len(calls) != 2:
        target.only_ours("the model did not call twice")
    assert [call["function"]["index"] for call in calls] == [0, 1]
    assert calls[0]["id"] != calls[1]["id"]
    assert [call["function"]["arguments"]["city"] for call in calls] == ["Paris", "London"]


def test_case_50_length(target):
    """num_predict ends an answer with done_reason length."""
    body = {"model": "@plain", "messages": HI, "options": {"num_predict": 3}}
    last = target.lines("/api/chat", body)[-1]
    assert (last["done_reason"], last["eval_count"]) == ("length", 3)


@pytest.mark.parametrize("name", ["native", "gotmpl"])
def test_case_51_overflow(target, name):
    """With truncate:false a prompt that is too long is refused with both token counts."""
    body = {
        "model": f"@{name}",
        "messages": [{"role": "user", "content": LONG}],
        "truncate": False,
        "options": {"num_ctx": 2048},
    }
    response = target.post("/api/chat", body)
    assert response.status_code == 400
    inner = json.loads(response.json()["error"])["error"]
    assert inner["type"] == "exceed_context_size_error"
    assert inner["n_ctx"] == 2048
    assert inner["n_prompt_tokens"] > 2048
    assert f"request ({inner['n_prompt_tokens']} tokens) exceeds" in inner["message"]


def test_silent_truncation(target):
    """By default the oldest messages are dropped without a word."""
    turns = [
        {"role": role, "content": "Hello Hello Hello Hello"}
        for _ in range(400)
        for role in ("user", "assistant")
    ]
    body = {
        "model": "@native",
        "messages": [*turns, *HI],
        "stream": False,
        "options": {"num_ctx": 2048, "num_predict": 2},
    }
    answer = target.post("/api/chat", body).json()
    assert 100 < answer["prompt_eval_count"] <= 2048


def test_case_56_odd_options(target):
    """Unknown options, nulls and fractions of integers are accepted."""
    options = {"mirostat": 1, "nonsense": True, "temperature": None, "seed": 1.9, "num_predict": 2}
    body = {"model": "@plain", "messages": HI, "options": options, "stream": False}
    assert target.post("/api/chat", body).status_code == 200


@pytest.mark.parametrize("value", ["", None])
def test_case_59_no_format(target, value):
    """An empty format is none."""
    body = {"model": "@plain", **U, "format": value, "stream": False}
    assert target.post("/api/chat", body).status_code == 200


def test_case_61_keep_alive_for_ever(target):
    """A negative keep_alive keeps the model for about 292 years."""
    body = {"model": "@gotmpl", "messages": [], "keep_alive": -1}
    response = target.post("/api/chat", body)
    answer = response.json()
    assert list(answer) == [*HEAD, "done_reason"]
    assert answer["message"] == {"role": "assistant", "content": ""}
    assert (answer["done"], answer["done_reason"]) == (True, "load")
    running = {m["name"]: m for m in target.http.get("/api/ps").json()["models"]}
    assert running[target.fit("@@gotmpl")]["expires_at"] > "2300"
    target.post("/api/chat", body | {"keep_alive": 0})


@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
def test_case_62_unload(target, keep_alive):
    """keep_alive 0 without messages unloads at once, as one object even when streaming."""
    target.post("/api/chat", {"model": "@plain", "messages": []})
    body = {"model": "@plain", "messages": [], "keep_alive": keep_alive, "stream": True}
    response = target.post("/api/chat", body)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json()["done_reason"] == "unload"
    running = [m["name"] for m in target.http.get("/api/ps").json()["models"]]
    assert target.fit("@@plain") not in running


@pytest.mark.parametrize("stream", [True, False])
def test_case_72_logprobs(target, stream):
    """Each token has its logprob and bytes, and as many alternatives as were asked for."""
    body = {"model": "@plain", **U, "logprobs": True, "top_logprobs": 2, "stream": stream}
    if stream:
        entries = [e for line in target.lines("/api/chat", body) for e in line.get("logprobs", ())]
    else:
        entries = target.post("/api/chat", body).json()["logprobs"]
    assert entries
    for entry in entries:
        assert list(entry) == ["token", "logprob", "bytes", "top_logprobs"]
        assert len(entry["top_logprobs"]) == 2
        assert list(entry["top_logprobs"][0]) == ["token", "logprob", "bytes"]
        assert bytes(entry["bytes"]).decode("utf-8", "replace") == entry["token"]


@pytest.mark.parametrize(
    ("data", "at"), [("data:image/png;base64,AAAA", 4), ("AAA", 0), ("AAAAA", 4), ("AA-A", 2)]
)
def test_case_73_bad_base64(target, data, at):
    """A picture that is no standard base64 is refused with the bad byte's index."""
    messages = [{"role": "user", "content": "x", "images": [data]}]
    response = target.post("/api/chat", {"model": "@plain", "messages": messages})
    wanted = {"error": f"illegal base64 data at input byte {at}"}
    assert (response.status_code, response.json()) == (400, wanted)


def test_picture_for_a_text_model(target):
    """A picture sent to a text model is refused by the engine, in nested JSON."""
    messages = [{"role": "user", "content": "x", "images": ["AAAA"]}]
    response = target.post("/api/chat", {"model": "@plain", "messages": messages})
    assert response.status_code == 400
    inner = json.loads(response.json()["error"])["error"]
    wanted = "Multimodal data provided, but model does not support multimodal requests."
    assert inner == {"code": 400, "message": wanted, "type": "invalid_request_error"}
