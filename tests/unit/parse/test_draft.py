"""A draft holds each value in its own row."""

from kata_audit.parse.draft import Draft


def test_values_go_to_their_rows_in_whatever_order_all_rows_come() -> None:
    """Records of two transports are read one transport after the other."""
    draft = Draft(3)
    draft.put("subsystem", [2, 0, 1], ["c", "a", "b"])
    draft.put("body", [0, 1, 2], ["x", "y", "z"])

    assert draft.column("subsystem") == ["a", "b", "c"]
    assert draft.column("body") == ["x", "y", "z"]
