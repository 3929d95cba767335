"""A secret is read where it was named, and shown nowhere."""

from pathlib import Path

import pytest

from kata_audit.errors import UsageError
from kata_audit.exporters.settings import Destination, DestinationKind, read_secret

ONE = Destination("pager", DestinationKind.APPRISE)


def test_a_secret_comes_from_a_file_or_a_variable(tmp_path: Path) -> None:
    """White space around it is none of it."""
    (tmp_path / "secret").write_text("\n s3cret \n")

    assert read_secret(ONE) is None
    assert read_secret(Destination("pager", DestinationKind.APPRISE, secret_file=tmp_path / "secret")) == "s3cret"
    assert read_secret(Destination("pager", DestinationKind.APPRISE, secret_env="PAGER"), {"PAGER": " s3cret"}) == "s3cret"


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By where it should be."""
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"s3cret\xff")
    for name in ("gone", "empty", "binary"):
        with pytest.raises(UsageError) as caught:
            read_secret(Destination("pager", DestinationKind.APPRISE, secret_file=tmp_path / name))
        assert caught.value.where == str(tmp_path / name)
        assert "s3cret" not in caught.value.diagnostics()
    with pytest.raises(UsageError, match="secret of `pager`"):
        read_secret(Destination("pager", DestinationKind.APPRISE, secret_env="PAGER"), {"PAGER": " "})
