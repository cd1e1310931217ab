"""What a token, a call and a vector cost, beside the peers and the frameworks themselves.

Run ``python -m benchmarks``; ``--help`` tells its forms, CONTRIBUTING.md when to use which.
"""
