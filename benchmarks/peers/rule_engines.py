"""Other rule engines on the same rules and rows, in an environment of their own: JSON on stdout.

python rule_engines.py FILE ROUNDS: FILE is `{"rules": {engine: [text]}, "rows": [{field: value}]}`. The answer is
`{engine: {"version", "seconds", "rows", "answers"}}`, seconds the median of a round of all rules over `rows` rows.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

FEW = 300
"""Rows for an engine that would take minutes."""


def main() -> None:
    with open(sys.argv[1]) as file:
        given = json.load(file)
    told = {}
    for engine, prepare, few in ENGINES:
        rows = given["rows"][:FEW] if few else given["rows"]
        run = prepare(given["rules"][engine], rows)
        answers = run()
        rounds = []
        for _ in range(int(sys.argv[2])):
            began = time.perf_counter()
            run()
            rounds.append(time.perf_counter() - began)
        told[engine] = {
            "version": version(engine),
            "seconds": statistics.median(rounds),
            "rows": len(rows),
            "answers": answers,
        }
    print(json.dumps(told))


def rule_engine(texts: list[str], rows: list[dict[str, Any]]) -> Callable[[], list[list[bool]]]:
    import rule_engine as engine

    rules = [engine.Rule(text) for text in texts]
    return lambda: [[rule.matches(row) for row in rows] for rule in rules]


def cel_rust(texts: list[str], rows: list[dict[str, Any]]) -> Callable[[], list[list[bool]]]:
    import cel

    programs = [cel.compile(text) for text in texts]
    contexts = [cel.Context(variables=row) for row in rows]
    return lambda: [[program.execute(context) for context in contexts] for program in programs]


def cel_python(texts: list[str], rows: list[dict[str, Any]]) -> Callable[[], list[list[bool]]]:
    import celpy

    environment = celpy.Environment(runner_class=celpy.CompiledRunner)
    programs = [environment.program(environment.compile(text)) for text in texts]
    contexts = [celpy.json_to_cel(row) for row in rows]
    return lambda: [[bool(program.evaluate(context)) for context in contexts] for program in programs]


ENGINES = (
    ("common-expression-language", cel_rust, False),
    ("rule-engine", rule_engine, False),
    ("cel-python", cel_python, True),
)

if __name__ == "__main__":
    main()
