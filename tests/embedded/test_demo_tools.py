"""The demo model: which tools it calls, with what, and how it fills JSON schemas."""

import json

import pytest

TEXT = {"type": "string"}
INT = {"type": "integer"}


def tool(name, description, *, required=None, **properties):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


MULTIPLY = tool("multiply", "Multiply two numbers.", a=INT, b=INT)
ADD = tool("add", "Add two integers.", a=INT, b=INT)
WEATHER = tool("get_weather", "Get the weather at a location.", location=TEXT)
UNITS = tool(
    "get_current_weather",
    "Get the current weather in a city.",
    required=["city"],
    city=TEXT,
    unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
)
MAGIC = tool("magic_function", "Apply a magic function to an input.", input=INT)
NOTHING = tool("magic_function_no_args", "Calculate a magic function.")
TIME = tool("get_current_time", "Return the current time.")
SEARCH = tool("search_docs", "Search the documents of the company.", query=TEXT)
LIGHT = tool(
    "set_light", "Switch a light.", required=["room", "on"], room=TEXT, on={"type": "boolean"}
)

CALLS = [
    ("multiply 3 and 4", [MULTIPLY, ADD], [("multiply", {"a": 3, "b": 4})]),
    ("What is 3 + 4?", [MULTIPLY, ADD], [("add", {"a": 3, "b": 4})]),
    ("What is 6 times 7?", [ADD, MULTIPLY], [("multiply", {"a": 6, "b": 7})]),
    (
        "What is 3 times 4 and 5 plus 6?",
        [MULTIPLY, ADD],
        [("multiply", {"a": 3, "b": 4}), ("add", {"a": 5, "b": 6})],
    ),
    (
        "Multiply 3 and 4, and multiply 5 and 6",
        [MULTIPLY],
        [("multiply", {"a": 3, "b": 4}), ("multiply", {"a": 5, "b": 6})],
    ),
    (
        "What is the value of magic_function(3)? Use the tool.",
        [MAGIC],
        [("magic_function", {"input": 3})],
    ),
    (
        "What is the value of magic_function_no_args()? Use the tool.",
        [NOTHING],
        [("magic_function_no_args", {})],
    ),
    ("What is the weather in Paris?", [WEATHER], [("get_weather", {"location": "Paris"})]),
    (
        "What is the weather in San Francisco, CA?",
        [WEATHER],
        [("get_weather", {"location": "San Francisco, CA"})],
    ),
    (
        "Tell me the weather in Paris and in London",
        [WEATHER],
        [("get_weather", {"location": "Paris"}), ("get_weather", {"location": "London"})],
    ),
    (
        "What is the weather in Paris in fahrenheit?",
        [UNITS],
        [("get_current_weather", {"city": "Paris", "unit": "fahrenheit"})],
    ),
    (
        "multiply 3 and 4 and tell me the weather in Rome",
        [WEATHER, MULTIPLY],
        [("multiply", {"a": 3, "b": 4}), ("get_weather", {"location": "Rome"})],
    ),
    ("What's the current time?", [TIME, WEATHER], [("get_current_time", {})]),
    (
        "How long is the vacation at Acme?",
        [MULTIPLY, SEARCH],
        [("search_docs", {"query": "How long is the vacation at Acme?"})],
    ),
    (
        "Use set_light with room='kitchen' and on: false",
        [LIGHT],
        [("set_light", {"room": "kitchen", "on": False})],
    ),
    (
        "Create a customer named '你好啊集团'",
        [tool("unicode_customer", "Create a customer.", customer_name=TEXT)],
        [("unicode_customer", {"customer_name": "你好啊集团"})],
    ),
]


@pytest.mark.parametrize(("said", "tools", "wanted"), CALLS, ids=[case[0] for case in CALLS])
def test_calls_what_the_prompt_names(ask, said, tools, wanted):
    """A prompt that names what a tool needs gets the call, or several."""
    calls = ask(said, tools=tools).get("tool_calls", [])
    assert [(c["function"]["name"], c["function"]["arguments"]) for c in calls] == wanted


@pytest.mark.parametrize("said", ["Hello", "Tell me a story.", "What a nice day!", "Thanks, Bob."])
def test_the_demo_calls_no_tool_otherwise(ask, said):
    """A prompt that needs no tool gets text."""
    message = ask(said, tools=[WEATHER, MULTIPLY, TIME, MAGIC])
    assert "tool_calls" not in message
    assert message["content"]


def test_answers_with_the_results(ask):
    """Once the results are there, they are the answer, and nothing is called again."""
    call = {"function": {"name": "multiply", "arguments": {"a": 3, "b": 4}}}
    messages = [
        {"role": "user", "content": "multiply 3 and 4"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "12", "tool_name": "multiply"},
    ]
    assert ask(messages, tools=[MULTIPLY]) == {"role": "assistant", "content": "The result is 12."}
    messages += [
        {"role": "assistant", "content": "12"},
        {"role": "user", "content": "multiply 2 and 5"},
    ]
    (again,) = ask(messages, tools=[MULTIPLY])["tool_calls"]
    assert again["function"]["arguments"] == {"a": 2, "b": 5}


def test_quotes_long_results(ask):
    """A long result is quoted where it answers the question."""
    text = "Lorem ipsum dolor sit amet. " * 30 + "The vacation at Acme is 30 days. "
    messages = [
        {"role": "user", "content": "How long is the vacation at Acme?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "search_docs"}}]},
        {"role": "tool", "content": text},
    ]
    assert ask(messages, tools=[SEARCH])["content"] == "The vacation at Acme is 30 days."


def filled(ask, said, schema, **fields):
    return json.loads(ask(said, format=schema, **fields)["content"])


def schema_of(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


PERSON = "Alice is 31 years old, lives in Oslo since 2020-05-17, email alice@example.org."
FILLED = [
    (schema_of(name=TEXT, age=INT, city=TEXT), {"name": "Alice", "age": 31, "city": "Oslo"}),
    (schema_of(email={"type": "string", "format": "email"}), {"email": "alice@example.org"}),
    (schema_of(since={"type": "string", "format": "date"}), {"since": "2020-05-17"}),
    (schema_of(kind={"const": "person"}), {"kind": "person"}),
    (schema_of(town={"enum": ["Paris", "Oslo"]}), {"town": "Oslo"}),
    (schema_of(level={"enum": ["low", "high"]}), {"level": "low"}),
    (schema_of(age={"type": "number", "minimum": 40, "maximum": 50}), {"age": 40}),
    (schema_of(age={"type": "integer", "exclusiveMinimum": 31}), {"age": 32}),
    (schema_of(step={"type": "integer", "minimum": 41, "multipleOf": 5}), {"step": 45}),
    (schema_of(cities={"type": "array", "items": TEXT}), {"cities": ["Alice", "Oslo"]}),
    (schema_of(age={"anyOf": [{"type": "null"}, INT]}), {"age": 31}),
    (schema_of(nothing={"type": "null"}), {"nothing": None}),
    (schema_of(flag={"type": "boolean"}), {"flag": False}),
    (
        schema_of(pair={"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}),
        {"pair": [1, 2]},
    ),
    (schema_of(who=schema_of(name=TEXT)), {"who": {"name": "Alice"}}),
    (
        {**schema_of(who={"$ref": "#/$defs/Who"}), "$defs": {"Who": schema_of(age=INT)}},
        {"who": {"age": 31}},
    ),
    (
        {
            "allOf": [schema_of(name=TEXT)],
            "type": "object",
            "properties": {"age": INT},
            "required": ["age"],
        },
        {"name": "Alice", "age": 31},
    ),
    ({"type": "array", "items": INT, "maxItems": 1}, [31]),
    ({"type": "string", "maxLength": 5}, "Alice"),
    ({"type": "string", "pattern": "^[0-9]{2}$"}, "31"),
]


@pytest.mark.parametrize(("schema", "wanted"), FILLED, ids=[json.dumps(c[1]) for c in FILLED])
def test_fills_a_schema(ask, schema, wanted):
    """A format is filled with what the prompt says, within its bounds."""
    assert filled(ask, PERSON, schema) == wanted


def test_recursive_schema_ends(ask):
    """A schema that contains itself is filled to a depth and no further."""
    node = {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/Node"}},
        "required": ["child"],
    }
    assert "child" in filled(ask, "a", {"$ref": "#/$defs/Node", "$defs": {"Node": node}})


def test_fills_from_the_context(ask):
    """The best sentence of a context is a source too."""
    prompt = f"Context: {PERSON}\n\nQuestion: What is the age of Alice?"
    assert filled(ask, prompt, schema_of(age=INT)) == {"age": 31}


def forced(*tools):
    options = [
        {
            "type": "object",
            "properties": {
                "name": {"const": t["function"]["name"]},
                "arguments": t["function"]["parameters"],
            },
            "required": ["name", "arguments"],
        }
        for t in tools
    ]
    return options[0] if len(options) == 1 else {"anyOf": options}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("weather in Rome", {"name": "get_weather", "arguments": {"location": "Rome"}}),
        ("multiply 6 by 7", {"name": "multiply", "arguments": {"a": 6, "b": 7}}),
    ],
)
def test_forced_call_picks_the_tool(ask, said, wanted):
    """A schema of a forced call gets the tool that fits, its arguments filled."""
    assert filled(ask, said, forced(WEATHER, MULTIPLY)) == wanted


def test_forced_call_of_one_tool(ask):
    """A forced tool is called whatever was said."""
    call = filled(ask, "Hello!", forced(MAGIC))
    assert call["name"] == "magic_function"
    assert isinstance(call["arguments"]["input"], int)


def test_call_or_answer(ask):
    """Where a call and an answer are both allowed: first the call, after its result the answer."""
    answer = {"type": "object", "properties": {"city": TEXT}, "required": ["city"]}
    both = {"anyOf": [forced(WEATHER), answer]}
    said = [{"role": "user", "content": "What is the weather in Rome?"}]
    call = filled(ask, said, both)
    assert call == {"name": "get_weather", "arguments": {"location": "Rome"}}
    said += [
        {"role": "assistant", "content": "", "tool_calls": [{"function": call}]},
        {"role": "tool", "content": "It is sunny in Rome."},
    ]
    assert filled(ask, said, both) == {"city": "Rome"}


@pytest.mark.parametrize(
    "said",
    [
        "Tell me a joke about cats. Return the result as a JSON with 'setup' and 'punchline' keys.",
        "Give me a joke as JSON with keys setup and punchline",
        'Give me a joke like {"setup": "...", "punchline": "..."}',
    ],
)
def test_json_mode_follows_named_keys(ask, said):
    """JSON mode gives the keys that the prompt names."""
    found = json.loads(ask(said, format="json")["content"])
    assert list(found) == ["setup", "punchline"]
    assert all(isinstance(text, str) and text for text in found.values())


def test_json_mode_without_keys(ask):
    """JSON mode without named keys still is an object."""
    assert json.loads(ask("Hello", format="json")["content"]) == {"answer": "Hello"}


@pytest.mark.parametrize("double", [False, True])
def test_schema_in_the_prompt(ask, double):
    """A schema that the prompt shows is filled, with doubled braces too."""
    schema = json.dumps(schema_of(city=TEXT))
    shown = schema.replace("{", "{{").replace("}", "}}") if double else schema
    said = f"I live in Oslo.\n\nHere's a JSON schema to follow:\n{shown}\n\nOutput valid JSON."
    assert json.loads(ask(said)["content"]) == {"city": "Oslo"}
