"""The suite of langchain-ollama: mocks of ollama-python's clients, and a server with models."""

from peer_suites.suite import Suite

NO_JSON = "Arguments of a call that are no JSON"
WRONG = "A `response_format` of a wrong type"
ADDRESS = 'An address that the package cannot read (`"myhost"`, `"qwen3:8b"`, `ftp://…`)'
LOST = "An address with a query, a fragment or port 0"
ON_INIT = "`validate_model_on_init=True`"
PRIVATE = (
    "`model._client`, `_chat_params`, `_create_chat_stream`, "
    "`_convert_messages_to_ollama_messages`, `langchain_ollama._utils`"
)
REASONING = "`reasoning=None` with a thinking model"
TEXTS = "Texts of errors, warnings and of the log"
UNKNOWN = 'Unknown arguments, `num_ctx=-5`, `format="xml"`'

SUITE = Suite(
    requirement="langchain-ollama==1.1.0",
    tests=["tests"],
    plugin="as_langchain",
    arguments=["-o", "asyncio_mode=auto"],
    differs={
        "test_init_connection_error": ON_INIT,
        "test_init_response_error": ON_INIT,
        "test_stream_reasoning_none[False-deepseek-r1:1.5b]": REASONING,
        "test_stream_reasoning_none[True-deepseek-r1:1.5b]": REASONING,
        "test_invoke_reasoning_none[False-deepseek-r1:1.5b]": REASONING,
        "test_invoke_reasoning_none[True-deepseek-r1:1.5b]": REASONING,
        "test_reasoning_modes_behavior[deepseek-r1:1.5b]": REASONING,
        "test__stream_no_reasoning[deepseek-r1:1.5b]": REASONING,
        "test__astream_no_reasoning[deepseek-r1:1.5b]": REASONING,
        "test_parse_url_with_auth_no_credentials": LOST,
        "test_parse_url_with_auth_no_scheme_with_path": LOST,
        "test_parse_url_with_auth_with_path_and_query": LOST,
        "test_parse_url_with_auth_port_zero": LOST,
        "test_parse_url_with_auth_malformed_url": ADDRESS,
        "test_parse_url_with_auth_bare_hostname": ADDRESS,
        "test_parse_url_with_auth_model_name_with_colon": ADDRESS,
        "test_parse_url_with_auth_non_http_scheme": ADDRESS,
        "test_parse_json_string_failure_case_raises_exception": NO_JSON,
        "test_load_response_with_empty_content_is_skipped": TEXTS,
        "test_load_response_with_whitespace_content_is_skipped": TEXTS,
        "test_load_followed_by_content_response": TEXTS,
        "test_explicit_options_dict_preserved": "Options inside `options={…}` per call",
        "test_top_logprobs_validation": "`top_logprobs=0`",
        "test_top_logprobs_without_logprobs_auto_enables": "`top_logprobs=5` without `logprobs`",
        "test_create_chat_stream_raises_when_client_none": PRIVATE,
        "test_acreate_chat_stream_raises_when_client_none": PRIVATE,
        "test_invoke_raises_when_client_none": PRIVATE,
        "test_chat_ollama_prioritizes_explicit_format": UNKNOWN,
        "test_chat_ollama_warns_invalid_response_format_type": WRONG,
        "test_reasoning_content_empty_string_preserved": '`reasoning_content=""` in a history',
        "test_embed_documents_raises_when_client_none": PRIVATE,
        "test_aembed_documents_raises_when_client_none": PRIVATE,
        "test_all_imports": "`__all__`",
        "test_create_generate_stream_raises_when_client_none": PRIVATE,
        "test_acreate_generate_stream_raises_when_client_none": PRIVATE,
    },
)
