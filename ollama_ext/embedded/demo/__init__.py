"""The rule-based models: a prompt goes in, an answer that follows rules comes out."""
