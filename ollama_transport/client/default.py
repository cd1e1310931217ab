"""The functions of the package, bound to one client for the server that OLLAMA_HOST names.

``import ollama_transport as ollama`` and ``ollama.chat(…)``, as in programs for ollama-python.
"""

from ollama_transport.client.clients import Client

# No I/O at import: the environment is read at the first call.
_client = Client()

chat = _client.chat
copy = _client.copy
create = _client.create
delete = _client.delete
embed = _client.embed
embeddings = _client.embeddings
generate = _client.generate
list = _client.list
ps = _client.ps
pull = _client.pull
push = _client.push
show = _client.show
systemone = _client.systemone
web_fetch = _client.web_fetch
web_search = _client.web_search
