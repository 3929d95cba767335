"""The program that runs in the converters' own environment: Sigma documents on stdin, queries on stdout.

Converters of vendors need an older pySigma than ours, so they live in an environment of their own. This file is run there by
its path; it imports pySigma, what is beside it in that environment, and nothing of this package.
"""

import importlib
import json
import sys
from typing import Any

BACKENDS = {
    "splunk": ("sigma.backends.splunk", "SplunkBackend"),
    "elasticsearch": ("sigma.backends.elasticsearch", "LuceneBackend"),
    "opensearch": ("sigma.backends.opensearch", "OpensearchLuceneBackend"),
    "loki": ("sigma.backends.loki", "LogQLBackend"),
}


def convert(target: str, rules: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Convert each rule, which is a list of documents, on its own; what fails says why and stops no other."""
    module, name = BACKENDS[target]
    backend_class = getattr(importlib.import_module(module), name)
    collection_class = importlib.import_module("sigma.collection").SigmaCollection
    found: list[dict[str, Any]] = []
    for documents in rules:
        try:
            queries = backend_class().convert(collection_class.from_dicts(documents))
            found.append({"queries": [str(query) for query in queries]})
        except Exception as error:  # noqa: BLE001 - another's program, which may fail in any way
            found.append({"error": f"{type(error).__name__}: {error}"})
    return found


def main() -> None:
    """Read one request and answer it."""
    request = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"rules": convert(request["target"], request["rules"])}
    except ImportError as error:
        answer = {"missing": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
