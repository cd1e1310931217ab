"""The peers' own test suites, run on our packages: `scripts/peer-suites` (see CONTRIBUTING.md)."""

from peer_suites import langchain_ollama, llama_index_ollama, ollama_python

SUITES = {
    "ollama-python": ollama_python.SUITE,
    "langchain-ollama": langchain_ollama.SUITE,
    "llama-index-llms-ollama": llama_index_ollama.LLM,
    "llama-index-embeddings-ollama": llama_index_ollama.EMBEDDING,
}
