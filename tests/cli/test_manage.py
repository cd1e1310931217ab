"""Looking at models and managing them: models, show, ps, copy, delete."""

import json

from recorded import recording
from terminals import Ext

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply


def test_models_lists_what_the_server_has(ext: Ext, server: EmbeddedOllama) -> None:
    """`models` writes one line a model: name, size, context, and what it can do."""
    found = ext("models", host=server.url)
    assert (found.code, found.err) == (0, "")
    head, *lines = found.out.splitlines()
    assert head.split() == ["NAME", "SIZE", "WEIGHTS", "CONTEXT", "CHANGED", "CAN"]
    vision = next(line for line in lines if line.startswith("demo-vision"))
    assert "32,768" in vision
    assert "completion, tools, vision" in vision


def test_models_of_a_real_server(ext: Ext, server: EmbeddedOllama) -> None:
    """What a real Ollama lists is shown with its size and quantisation."""
    recorded = recording("tags")
    server.script("GET", "/api/tags", Reply.json(recorded.objects[0]))
    found = ext("models", host=server.url)
    for model in recorded.objects[0]["models"]:
        line = next(line for line in found.out.splitlines() if line.startswith(model["name"]))
        assert model["details"]["quantization_level"] in line


def test_models_as_json_is_what_the_server_said(ext: Ext, server: EmbeddedOllama) -> None:
    """`models --json` loses nothing of what the server said."""
    recorded = recording("tags")
    server.script("GET", "/api/tags", Reply.json(recorded.objects[0]))
    found = ext("models", "--json", host=server.url)
    assert json.loads(found.out) == recorded.objects[0]["models"]


def test_a_server_without_models_is_reported(ext: Ext) -> None:
    """An empty list says how to get a model, and is an empty array for a program."""
    with EmbeddedOllama(demo=False) as server:
        assert "ollama-ext pull" in ext("models", host=server.url).out
        assert json.loads(ext("models", "--json", host=server.url).out) == []


def test_models_of_an_openai_compatible_server(ext: Ext, server: EmbeddedOllama) -> None:
    """A server of the /v1 kind lists its models as well; what it does not tell is a dash."""
    answer = {"object": "list", "data": [{"id": "mine", "object": "model", "max_model_len": 4096}]}
    server.script("GET", "/v1/models", Reply.json(answer))
    found = ext("models", host=f"{server.url}/v1")
    assert found.out.splitlines()[1].split() == ["mine", "-", "-", "4,096", "-", "-"]


def test_show_describes_the_model(ext: Ext, server: EmbeddedOllama) -> None:
    """`show` writes one fact a line, and leaves out what is unknown."""
    found = ext("show", "demo", host=server.url)
    facts = {line[:20].strip(): line[20:].strip() for line in found.out.splitlines()}
    assert facts["can"] == "completion, insert, thinking, tools"
    assert facts["context of training"] == "32,768 tokens"
    assert "runs at" not in facts


def test_show_takes_brackets_as_text(ext: Ext) -> None:
    """Brackets and colons in a model's settings are shown as they are: no markup, no emoji."""
    stops = {"stop": ["[INST]", "[/INST]"]}
    model = EmbeddedModel("square", parameters=stops, system="Say :tada: and [bold]hello[/bold].")
    with EmbeddedOllama([model]) as server:
        found = ext("show", "square", host=server.url)
    assert "[INST]" in found.out
    assert "[/INST]" in found.out
    assert "Say :tada: and [bold]hello[/bold]." in found.out


def test_show_as_json_is_what_the_server_said(ext: Ext, server: EmbeddedOllama) -> None:
    """`show --json` loses nothing of what the server said."""
    recorded = recording("show/tiny-chat")
    server.script("POST", "/api/show", Reply.json(recorded.objects[0]))
    found = ext("show", "tiny-chat", "--json", host=server.url)
    assert json.loads(found.out) == recorded.objects[0]


def test_show_verbose_asks_for_it(ext: Ext, server: EmbeddedOllama) -> None:
    """--verbose reaches the server."""
    ext("show", "demo", "--verbose", "--json", host=server.url)
    assert server.requests[-1].json["verbose"] is True


def test_ps_lists_loaded_models(ext: Ext, server: EmbeddedOllama) -> None:
    """`ps` says that nothing is loaded, and where a loaded model runs and until when."""
    assert ext("ps", host=server.url).out == "No model is in memory.\n"
    assert json.loads(ext("ps", "--json", host=server.url).out) == []
    recorded = recording("ps-loaded").objects[0]
    server.script("GET", "/api/ps", Reply.json(recorded), repeat=True)
    found = ext("ps", host=server.url)
    assert recorded["models"][0]["name"] in found.out
    assert " CPU " in found.out or "GPU" in found.out
    assert json.loads(ext("ps", "--json", host=server.url).out) == recorded["models"]


def test_ps_shows_the_gpu_share(ext: Ext, server: EmbeddedOllama) -> None:
    """A model that is on the GPU in part says how much of it."""
    model = {"name": "m", "size": 400, "size_vram": 100, "expires_at": "2318-01-01T00:00:00Z"}
    whole = {**model, "name": "w", "size_vram": 400}
    server.script("GET", "/api/ps", Reply.json({"models": [model, whole]}))
    lines = ext("ps", host=server.url).out.splitlines()
    assert "25% GPU" in lines[1]
    assert "for ever" in lines[1]
    assert " GPU " in lines[2]
    assert "%" not in lines[2]


def test_copy_gives_a_second_name(ext: Ext, server: EmbeddedOllama) -> None:
    """After `copy` the model is there under both names."""
    found = ext("copy", "demo", "mine", host=server.url)
    assert (found.code, found.out) == (0, "demo is now also available as mine\n")
    assert ext("show", "mine", host=server.url).code == 0


def test_delete_asks(ext: Ext, server: EmbeddedOllama) -> None:
    """`delete` removes nothing unless the answer is yes, and a no exits with 1."""
    found = ext("delete", "demo", host=server.url, stdin="n\n")
    assert (found.code, found.out) == (1, "")
    assert found.err == "Delete demo? [y/N] nothing is deleted\n"
    assert ext("delete", "demo", host=server.url, stdin="\n").code == 1
    assert ext("show", "demo", host=server.url).code == 0
    found = ext("delete", "demo", host=server.url, stdin="yes\n")
    assert (found.code, found.out) == (0, "demo is deleted\n")
    assert ext("show", "demo", host=server.url).code == 4


def test_delete_without_anybody_to_ask(ext: Ext, server: EmbeddedOllama) -> None:
    """With nobody at standard input, `delete` removes nothing and names --yes."""
    found = ext("delete", "demo", host=server.url)
    assert found.code == 2
    assert "--yes" in found.err
    assert ext("show", "demo", host=server.url).code == 0


def test_delete_with_yes_takes_several(ext: Ext, server: EmbeddedOllama) -> None:
    """--yes asks nothing; the first model that is missing ends it with 4."""
    found = ext("delete", "--yes", "demo", "nope", "demo-embed", host=server.url)
    assert (found.code, found.out) == (4, "demo is deleted\n")
    assert ext("show", "demo-embed", host=server.url).code == 0
