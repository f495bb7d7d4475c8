"""Rows as no one should send them: unknown members at every level, values of every wrong type, odd text and numbers.

Made from the installed model by a seeded `random.Random`, so that ten thousand take seconds; a failing test prints its seed.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from appstream_frames.tables.schema import Column, list_tables

TEXTS = (
    *("", "a", "AVAILABLE", "TRUE", "ENABLED", "LATEST", "06-29-2026", "=1+1", "x" * 300, "<script>", "$\\frac{"),
    *("\x00", "\x1b[31m", "\u202etxet", "a\ud800b", "\udc00", "日本", "\U0001f4a9", '"quoted\\"', "1", "null"),
    *("https://i.example/a.png?X-Amz-Signature=s", "https://i.example/a.png"),
)
NUMBERS = (0, 1, -1, 25, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, 0.1, -0.5, 1e-7, 1e300)
TIMES = (
    0,
    1617300000,
    1617300000.123,
    1617300000.123456,
    1617300000.1234567,
    -1.5,
    253402300799,
    253402300800,
    1831334400000,
)
STRANGERS = ("NewThing", "newThing", "Newer", "unmodeled", "snapshot", "", "\ud800", "Images", "IconURL", "Metadata")


def row(random: Random, operation: str = "DescribeImages") -> dict[str, Any]:
    """Return one object of an operation's list."""
    own, *children = (table for table in list_tables().values() if table.operation == operation)
    made = _structure(_tree(own.name), random)
    for table in children:
        if random.random() < 0.8:
            rows = [_structure(_tree(table.name), random) for _ in range(random.randrange(4))]
            if random.random() < 0.1:
                rows.insert(random.randrange(len(rows) + 1), _anything(random))
            made[table.path[-1]] = rows if random.random() < 0.9 else _anything(random)
    return made


@cache
def _tree(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for column in list_tables()[name].modelled:
        inner = tree
        for step in column.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[column.path[-1]] = column
    return tree


def _structure(tree: dict[str, Any], random: Random) -> dict[str, Any]:
    odd = random.choice((0.0, 0.0, 0.3))
    made = {name: _value(node, random, odd) for name, node in tree.items() if random.random() < 0.8}
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        made.setdefault(random.choice(STRANGERS), _anything(random))
    return made


def _value(node: Any, random: Random, odd: float) -> Any:
    if random.random() < odd:
        return _anything(random)
    if isinstance(node, dict):
        return _structure(node, random)
    return _fitting(node, random)


def _fitting(column: Column, random: Random) -> Any:
    texts = [random.choice(TEXTS) for _ in range(random.randrange(3))]
    return {
        "string": random.choice(TEXTS),
        "flag": random.choice(column.flag) if column.kind == "flag" else None,
        "boolean": random.random() < 0.5,
        "integer": random.choice(NUMBERS[:8]),
        "float": random.uniform(-1e9, 1e9),
        "timestamp": random.choice((*TIMES, random.randrange(4 * 10**15) / 1e6)),
        "strings": texts,
        "map": {text: random.choice((*TEXTS, None)) for text in texts},
        "json": _anything(random),
    }[column.kind]


def _anything(random: Random, depth: int = 2) -> Any:
    choices = [
        None,
        True,
        False,
        random.choice(NUMBERS),
        random.choice(TIMES),
        random.choice(TEXTS),
        random.uniform(-9, 9),
    ]
    if depth:
        choices.append([_anything(random, depth - 1) for _ in range(random.randrange(3))])
        choices.append(
            {random.choice((*TEXTS, *STRANGERS)): _anything(random, depth - 1) for _ in range(random.randrange(3))}
        )
    return random.choice(choices)
