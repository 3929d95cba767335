"""The index template for records in Elasticsearch and OpenSearch: words as keywords, times as dates, the message as text.

What a record states beyond the schema is one field, `kata.attributes` (in OCSF `unmapped.attributes`): an attacker who makes
up keys would otherwise make fields, until the index takes none. Lifecycle is left to the operator, whose retention it is.

Source: Elasticsearch reference, "Create or update index template", "Flattened field type"; OpenSearch documentation, "Index
templates", "Flat object".
"""

from typing import Any, Final

_VERSION: Final = 3
_PRIORITY: Final = 250
"""Over the templates that the products bring for `logs-*-*`."""
_LONGEST_WORD: Final = 1024
_LONGEST_EXACT: Final = 8000
"""Characters, each of up to four bytes: a term holds 32,766 bytes."""
EXACT: Final = "exact"
"""The part of a text field that is asked for patterns: converted rules need it, and a text is in pieces of words alone."""
_DATES: Final = ("@timestamp", "event.created", "timestamp", "observed_timestamp", "kata.guest_timestamp", "kata.timestamp")
ATTRIBUTES: Final = ("kata.attributes", "unmapped.attributes")
"""What a record states beyond the schema, in the words of each field set."""
_TEXTS: Final = ("message", "body")


def template(index: str, *, attributes: str | None, is_stream: bool) -> dict[str, Any]:
    """Make the template.

    Args:
        index: The data stream or index that it is for.
        attributes: The field type that takes any keys without making fields; None where the server has none, and
            attributes are kept and shown, and cannot be searched.
        is_stream: Whether it makes a data stream.
    """
    properties: dict[str, Any] = {}
    for name in ATTRIBUTES:
        _put(properties, name, {"type": attributes} if attributes else {"type": "object", "enabled": False})
    for name in _DATES:
        _put(properties, name, {"type": "date"})
    for name in _TEXTS:
        exact = {"type": "keyword", "ignore_above": _LONGEST_EXACT}
        _put(properties, name, {"type": "text", "fields": {EXACT: exact}})
    words = {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": _LONGEST_WORD}}
    return {
        "index_patterns": [index],
        "priority": _PRIORITY,
        "version": _VERSION,
        "_meta": {"description": "Records of kata-audit"},
        "template": {
            "mappings": {
                "date_detection": False,
                "dynamic_templates": [{"words": words}],
                "properties": properties,
            },
        },
        **({"data_stream": {}} if is_stream else {}),
    }


def _put(properties: dict[str, Any], name: str, mapping: dict[str, Any]) -> None:
    *above, last = name.split(".")
    for part in above:
        properties = properties.setdefault(part, {"properties": {}})["properties"]
    properties[last] = mapping
