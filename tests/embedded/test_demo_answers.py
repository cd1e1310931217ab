"""The demo model: quoting, fixed forms of answers, ReAct, repeating, saying what it is."""

import json
import os
import subprocess
import sys

import httpx
import pytest

from ollama_ext.embedded import EmbeddedOllama

BIRDS = """file_path: /data/kestrel.md

# Kestrel
The kestrel is a small falcon. It eats mice and
large insects. Kestrels nest in holes of trees.

file_path: /data/owl.md

# Owl
Owls hunt at night. An owl turns its head by 270 degrees."""
LLAMA_QA = (
    "Context information is below.\n---------------------\n{context}\n---------------------\n"
    "Given the context information and not prior knowledge, answer the query.\n"
    "Query: {question}\nAnswer: "
)
LANGCHAIN_QA = (
    "You are an assistant for question-answering tasks. Use the following pieces of retrieved "
    "context to answer the question. If you don't know the answer, just say that you don't know.\n"
    "Question: {question}\nContext: {context}\nAnswer:"
)
PLAIN_QA = (
    "Answer the question based only on the following context:\n\n{context}\n\n"
    "Question: {question}\n"
)
TAGGED_QA = "<context>\n{context}\n</context>\n\nQuestion: {question}"


@pytest.mark.parametrize("form", [LLAMA_QA, LANGCHAIN_QA, PLAIN_QA, TAGGED_QA])
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How far can an owl turn its head?", "An owl turns its head by 270 degrees."),
        ("When do owls hunt?", "Owls hunt at night."),
        ("Where do kestrels nest?", "Kestrels nest in holes of trees."),
    ],
)
def test_quotes_the_context(ask, form, question, answer):
    """A question over a context is answered with the sentence that answers it."""
    said = ask(form.format(context=BIRDS, question=question))["content"]
    assert answer in said
    assert "file_path" not in said
    assert "/data" not in said
    assert len(said) < 120


def test_says_when_the_context_has_no_answer(ask):
    """A context without the answer is not made up for."""
    said = ask(LLAMA_QA.format(context=BIRDS, question="Who was Napoleon?"))["content"]
    assert said == "The context does not say."


def test_context_in_the_system_message(ask):
    """A context in the system message is quoted too."""
    messages = [
        {
            "role": "system",
            "content": f"Here are the relevant documents for the context:\n\n{BIRDS}",
        },
        {"role": "user", "content": "When do owls hunt?"},
    ]
    assert ask(messages)["content"] == "Owls hunt at night."


def test_remembers_the_conversation(ask):
    """What a user said earlier is context."""
    messages = [
        {"role": "user", "content": "Hi, my name is Bob."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "What is my name?"},
    ]
    assert "Bob" in ask(messages)["content"]


REFINE = (
    "The original query is as follows: {question}\n"
    "We have provided an existing answer: {existing}\n"
    "We have the opportunity to refine the existing answer (only if needed) with some more context "
    "below.\n------------\n{context}\n------------\n"
    "Given the new context, refine the original answer to better answer the query. If the context "
    "isn't useful, return the original answer.\nRefined Answer: "
)
CHAT_REFINE = (
    "You are an expert Q&A system that strictly operates in two modes when refining existing "
    "answers:\n1. **Rewrite** an original answer using the new context.\n2. **Repeat** the "
    "original "
    "answer if the new context isn't useful.\nNew Context: {context}\nQuery: {question}\n"
    "Original Answer: {existing}\nNew Answer: "
)


@pytest.mark.parametrize("form", [REFINE, CHAT_REFINE])
def test_refines(ask, form):
    """A better answer replaces the old one, and a worse context leaves it."""
    asked = {"question": "How far can an owl turn its head?", "context": BIRDS}
    better = ask(form.format(existing="The context does not say.", **asked))["content"]
    assert better == "An owl turns its head by 270 degrees."
    kept = ask(
        form.format(
            existing="An owl turns its head by 270 degrees.", **asked | {"context": "Cars."}
        )
    )
    assert kept["content"] == "An owl turns its head by 270 degrees."


CHOICES = (
    "Some choices are given below. It is provided in a numbered list (1 to 2), where each item in "
    "the list corresponds to a summary.\n---------------------\n(1) Useful for questions about "
    "birds\n\n(2) Useful for questions about cars\n---------------------\n"
    "Using only the choices above and not prior knowledge, return the choice that is most relevant "
    "to the question: 'Which cars are fast?'\n"
)
RANKING = (
    "A list of documents is shown below. Each document has a number next to it.\nLet's try this "
    "now: \n\nDocument 1:\nThe kestrel is a falcon.\n\nDocument 2:\nCars have wheels.\n\n"
    "Question: How many wheels have cars?\nAnswer:\n"
)
CONDENSE = (
    "Given the following conversation between a user and an AI assistant and a follow up question "
    "from user, rephrase the follow up question to be a standalone question.\n\nChat History:\n"
    "user: What is a kestrel?\nassistant: A falcon.\nFollow Up Input: Where does it nest?\n"
    "Standalone question:"
)
SUB_QUESTIONS = (
    '<Tools>\n```json\n{"uber": "Financials of Uber"}\n```\n\n'
    "<User Question>\nexample\n\n<Output>\n"
    '```json\n{"items": []}\n```\n\n# Example 2\n<Tools>\n```json\n'
    '{"birds": "Facts on birds", "cars": "Facts on cars"}\n```\n\n'
    "<User Question>\nCompare birds and cars\n\n<Output>\n"
)


def test_selects_a_choice(ask):
    """A selector's prompt gets a JSON list of choices."""
    (choice,) = json.loads(ask(CHOICES)["content"])
    assert choice["choice"] == 2
    assert choice["reason"]


def test_ranks_documents(ask):
    """A reranker's prompt gets document numbers and relevances, without the irrelevant."""
    assert ask(RANKING)["content"] == "Doc: 2, Relevance: 9"


def test_condenses_a_follow_up(ask):
    """A follow-up question comes back with what it points to."""
    assert ask(CONDENSE)["content"] == "Where does it nest? (What is a kestrel?)"


def test_asks_sub_questions(ask):
    """A sub-question prompt gets an item for each tool that fits, in a fence."""
    said = ask(SUB_QUESTIONS)["content"]
    items = json.loads(said.removeprefix("```json").removesuffix("```"))["items"]
    assert [item["tool_name"] for item in items] == ["birds", "cars"]
    assert all("Compare birds and cars" in item["sub_question"] for item in items)


REACT = (
    "## Tools\n> Tool Name: multiply\nTool Description: Multiply two numbers\nTool Args: "
    '{"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"], '
    '"type": "object"}\n\n## Output Format\n```\nThought: I need to use a tool.\nAction: tool name '
    "(one of multiply) if using a tool.\nAction Input: the input to the tool, in a JSON format\n```"
)


def test_react_acts_then_answers(ask):
    """A ReAct prompt gets an action, and after its observation the answer."""
    messages = [
        {"role": "system", "content": REACT},
        {"role": "user", "content": "multiply 6 and 7"},
    ]
    acted = ask(messages)["content"]
    assert acted.startswith("Thought: ")
    assert acted.endswith('Action: multiply\nAction Input: {"a": 6, "b": 7}')
    messages += [
        {"role": "assistant", "content": acted},
        {"role": "user", "content": "Observation: 42"},
    ]
    assert ask(messages)["content"].endswith("\nAnswer: 42")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ('Say "one < two\u0085three\u2028four"', "one < two\u0085three\u2028four"),
        ("Respond with the single word `hello`", "hello"),
    ],
)
def test_repeats(ask, said, wanted):
    """What it is told to say, it says."""
    assert ask(said)["content"] == wanted


def test_says_what_it_is(ask):
    """Without anything to go by, it says that it is a demo."""
    said = ask("Hello")["content"]
    assert said.startswith("Hello! I am the demo model of ollama-ext")
    assert "no neural network" in said


def test_show_is_honest(http):
    """/api/show says that the models are rule-based."""
    for name in ("demo", "demo-embed"):
        shown = http.post("/api/show", json={"model": name}).json()
        assert "rule-based demo" in shown["model_info"]["general.description"]


def test_thinks_when_asked(ask):
    """With think on there is reasoning, with think off there is none."""
    assert "thinking" in ask("Hello", think=True)
    assert "thinking" in ask("Hello", think=None)
    assert "thinking" not in ask("Hello", think=False)


def test_stop_and_num_predict(ask):
    """Stop texts and num_predict cut the answer."""
    assert ask("Hello", options={"stop": [" am the"]})["content"] == "Hello! I"
    assert ask("Hello", options={"num_predict": 2})["content"] == "Hello!"


def test_is_deterministic(ask):
    """The same question has the same answer, whatever the seed and temperature."""
    one = ask("Tell me about owls.", options={"seed": 1, "temperature": 2})
    assert one == ask("Tell me about owls.", options={"seed": 9, "temperature": 0})


def test_vision(http):
    """demo-vision tells how many pictures there are, and of what kind and size."""
    messages = [{"role": "user", "content": "What is this?", "images": ["iVBORw0KGgo="]}]
    body = {"model": "demo-vision", "messages": messages, "stream": False}
    said = http.post("/api/chat", json=body).json()["message"]["content"]
    assert said == "I see 1 picture: PNG of 8 bytes. I cannot tell what they show."


def test_counts_its_tokens(http):
    """eval_count is the number of lines with a token, and a longer prompt counts for more."""
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    lines = [json.loads(x) for x in http.post("/api/chat", json=body).text.split("\n")[:-1]]
    assert lines[-1]["eval_count"] == len(lines) - 1
    body["messages"][0]["content"] = "Hello there, my dear old friend"
    longer = json.loads(http.post("/api/chat", json=body).text.split("\n")[-2])
    assert longer["prompt_eval_count"] == lines[-1]["prompt_eval_count"] + 6


def vector(http: httpx.Client, text: str, **fields: object) -> list[float]:
    body = {"model": "demo-embed", "input": text, **fields}
    found: list[float] = http.post("/api/embed", json=body).json()["embeddings"][0]
    return found


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("dimensions", [0, 64])
def test_retrieval_works(http, dimensions):
    """The text that shares words with a question is its nearest, cut vectors included."""
    texts = {
        "kestrel": "The kestrel is a small falcon that eats mice and large insects.",
        "owl": "Owls hunt at night and can turn their heads by 270 degrees.",
        "penguin": "The emperor penguin lives in Antarctica and cannot fly.",
        "engine": "A diesel engine burns fuel by compression.",
    }
    questions = {
        "What does a kestrel eat?": "kestrel",
        "When do owls hunt?": "owl",
        "Where does the emperor penguin live?": "penguin",
        "How does a diesel engine burn its fuel?": "engine",
    }
    known = {name: vector(http, text, dimensions=dimensions) for name, text in texts.items()}
    for question, wanted in questions.items():
        asked = vector(http, question, dimensions=dimensions)
        assert max(known, key=lambda name: near(asked, known[name])) == wanted


def test_vectors_ignore_case_and_punctuation(http):
    """Case, punctuation and very common words change nothing."""
    assert vector(http, "Kestrels eat mice") == vector(http, "the KESTRELS: eat, a mice!")


def test_vectors_are_the_same_in_every_process(http):
    """Another process, with other hash seeds, makes the same vector."""
    code = (
        "from ollama_ext.embedded.demo.embed import embed_text;"
        "print(embed_text('Kestrels eat mice', 256))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == pytest.approx(vector(http, "Kestrels eat mice"), abs=1e-6)


def test_a_slow_server_takes_its_time_for_each_text():
    """By the server's own clock, as the program under test would read it."""
    how = {"trust_env": False, "timeout": 60}
    body = {"model": "demo-embed", "input": ["a", "b", "c"]}
    with EmbeddedOllama(token_delay_s=0.01) as server:
        answer = httpx.post(f"{server.url}/api/embed", json=body, **how).json()
    assert answer["total_duration"] >= 3 * 10_000_000
