"""What a request begins with, and which targets are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.loadgen.address import address_of
from ml_pipeline.loadgen.order import Order


def test_a_url_comes_apart_into_host_port_and_head():
    address = address_of("https://models.example:8443/v1/invocations?a=b", {"X-Key": "k"})
    assert (address.host, address.port, address.tls) == ("models.example", 8443, True)
    assert address.head == (
        b"POST /v1/invocations?a=b HTTP/1.1\r\nHost: models.example:8443\r\n"
        b"User-Agent: ml-pipeline-load\r\nContent-Type: application/json\r\nX-Key: k\r\n"
        b"X-Request-Id: "
    )


def test_a_missing_port_is_that_of_the_scheme():
    assert address_of("http://a/", {}).port == 80
    assert address_of("https://a", {}).port == 443
    assert address_of("http://[::1]:80/x", {}).host == "::1"


def test_a_header_of_the_targets_own_replaces_ours():
    head = address_of("http://a/", {"content-type": "text/csv"}).head
    assert b"content-type: text/csv" in head
    assert b"application/json" not in head


@pytest.mark.parametrize(
    "url",
    ["", "a:80", "ftp://a/", "http://", "http:///x", "http://a b/", "http://a/\r\nX: y",
     "http://ä/", "http://user:CANARY@a/", "http://a:99999/", "http://a:x/"],
)  # fmt: skip
def test_a_target_that_cannot_be_asked_is_refused(url):
    with pytest.raises(ConfigurationError) as error:
        address_of(url, {})
    assert "CANARY" not in f"{error.value}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "CANARY\r\nY: z"), ("X", "CANARY\n"), ("X\n", ""), ("", "CANARY"), ("X Y", ""),
     ("Content-Length", "1"), ("transfer-encoding", "chunked"), ("X-Request-Id", "CANARY"),
     ("X", "CANARY\0"), ("X", "CANARY\u20ac")],
)  # fmt: skip
def test_a_header_that_would_break_requests_is_refused_without_its_value(name, value):
    with pytest.raises(ConfigurationError) as error:
        address_of("http://a/", {name: value})
    assert "CANARY" not in f"{error.value}"


@given(st.text(), st.text())
def test_whatever_headers_are_given_a_head_has_the_lines_it_should(name, value):
    try:
        head = address_of("http://a/", {name: value}).head
    except ConfigurationError:
        return
    # 'host', 'user-agent' and 'content-type' are replaced, others added
    added = name.lower() not in {"host", "user-agent", "content-type"}
    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == 4 + added


@given(st.lists(st.binary(max_size=50), min_size=1), st.binary(max_size=20))
def test_an_order_comes_out_of_a_pipe_as_it_went_in_and_leaves_the_rest(bodies, rest):
    import io

    order = Order(
        url="http://a/", headers={"X": "y"}, rate_per_s=50, duration_s=0.5, time_out_s=5,
        bodies=bodies,
    )  # fmt: skip
    stream = io.BytesIO(order.encoded() + rest)
    assert Order.read(stream) == order
    assert stream.read() == rest


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_an_order_that_breaks_off_is_no_order(cut):
    import io

    whole = Order(
        url="http://a/", headers={}, rate_per_s=1, duration_s=1, time_out_s=1, bodies=[b""]
    ).encoded()
    with pytest.raises((EOFError, TypeError)):
        Order.read(io.BytesIO(whole[:cut]))


def test_an_order_shows_neither_url_nor_headers():
    order = Order(
        url="http://CANARY/", headers={"X": "CANARY"}, rate_per_s=1, duration_s=1, time_out_s=1,
        bodies=[b"CANARY"],
    )  # fmt: skip
    assert "CANARY" not in repr(order)
    assert "CANARY" not in repr(address_of("http://a/", {"X": "CANARY"}))
