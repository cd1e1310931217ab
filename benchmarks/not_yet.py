"""Rows in which ours may be slower than the peer today, each with its reason.

It is empty: no row is slower by more than the spread of two runs. `left.py` tells what is left
where a goal is not reached.
"""

NOT_YET: dict[str, str] = {}
