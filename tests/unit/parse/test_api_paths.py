"""Request URIs mean what the API server takes them for."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_audit.parse.api_paths import ApiObject, KubeletTarget, read_kubelet, read_object, read_query

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
def test_what_a_form_encodes_is_decoded_in_order(pairs: list[tuple[str, str]]) -> None:
    """Blanks, plus signs, newlines, empty and repeated values come back as they were."""
    assert read_query("/p?" + urlencode(pairs)) == pairs


def test_what_go_drops_is_dropped() -> None:
    """A broken escape or a semicolon loses its parameter, as it does at the server, and no other."""
    assert read_query("/p?command=a%zz&command=b;c&command=%41&c%6fmmand=%2") == [("command", "A")]


def test_bytes_that_are_no_text_are_written_out() -> None:
    assert read_query("/p?command=%ff%FE") == [("command", "\\xff\\xfe")]


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("/api/v1/namespaces/shop/pods/web/exec?command=id", ApiObject("pods", "exec", "shop", "web")),
        ("/api/v1/namespaces/shop/pods/ap%69/%65xec", ApiObject("pods", "exec", "shop", "api")),
        ("/api/v1/namespaces/shop", ApiObject("namespaces", "", "shop", "shop")),
        ("/api/v1/namespaces/shop/status", ApiObject("namespaces", "status", "shop", "shop")),
        ("/api/v1/secrets?limit=500", ApiObject("secrets")),
        ("/api/v1/watch/namespaces/shop/pods", ApiObject("pods", "", "shop")),
        ("/apis/node.k8s.io/v1/runtimeclasses/kata", ApiObject("runtimeclasses", "", "", "kata", "node.k8s.io")),
        ("/apis/apps/v1/namespaces/shop/deployments/web/scale", ApiObject("deployments", "scale", "shop", "web", "apps")),
        ("/api/v1/nodes/worker-a/proxy/run/a/b/c", ApiObject("nodes", "proxy", "", "worker-a")),
        ("/version", ApiObject()),
        ("/api/v1", ApiObject()),
        ("/api/v1/namespaces/shop/pods/%zz", ApiObject()),
    ],
)
def test_a_path_names_its_object(uri: str, named: ApiObject) -> None:
    """As the API server's own reading of the decoded path has it."""
    assert read_object(uri) == named


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("run/shop/web/app?cmd=id", KubeletTarget("run", "shop", "web", "app")),
        ("exec/shop/web/0b0e9a0c-1d42/app", KubeletTarget("exec", "shop", "web", "app")),
        ("portForward/shop/web", KubeletTarget("portForward", "shop", "web")),
        ("portForward/shop/web/0b0e9a0c-1d42", KubeletTarget("portForward", "shop", "web")),
        ("%65xec/shop/web/app", KubeletTarget("exec", "shop", "web", "app")),
        ("pods", KubeletTarget("pods")),
        ("", KubeletTarget("")),
    ],
)
def test_a_path_behind_a_node_names_what_the_kubelet_is_asked(path: str, target: KubeletTarget) -> None:
    assert read_kubelet(f"/api/v1/nodes/worker-a/proxy/{path}") == target


def test_other_paths_ask_no_kubelet() -> None:
    assert read_kubelet("/api/v1/namespaces/shop/pods/web/proxy/run/a/b/c") is None


@given(st.text())
def test_no_text_breaks_a_reader(uri: str) -> None:
    """Whatever a client wrote as its URI, something comes back."""
    assert isinstance(read_object(uri), ApiObject)
    assert all(len(pair) == 2 for pair in read_query(uri))
    read_kubelet(uri)
