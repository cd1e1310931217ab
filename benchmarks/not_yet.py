"""Rows in which ours may be slower than the peer today, each with its reason.

It is empty: no row is slower than the peer.
"""

NOT_YET: dict[str, str] = {}
