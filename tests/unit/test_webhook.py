"""Signed webhooks: what passes, and everything that must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import ConfigurationError, PlatformRefusedError
from ml_pipeline.domain.webhook import WINDOW_S, sign, verify

SECRET = b"a-secret-of-some-length"
NOW = 1_767_225_600
secrets = st.binary(min_size=16, max_size=64)
moments = st.integers(min_value=0, max_value=10**11)


@given(secret=secrets, body=st.binary(), sent=moments, off=st.floats(-WINDOW_S, WINDOW_S))
def test_what_was_signed_with_the_secret_passes_within_the_window(secret, body, sent, off):
    signature = sign(secret, body, sent)
    now_s = sent + off
    if abs(now_s - sent) <= WINDOW_S:  # the sum may round beyond it
        verify(secret, body, timestamp=str(sent), signature=signature, now_s=now_s)


@given(secret=secrets, other=secrets, body=st.binary())
def test_another_secret_does_not_pass(secret, other, body):
    # HMAC pads short keys with zeros and hashes long ones: such pairs are the same key
    if secret.rstrip(b"\0") == other.rstrip(b"\0"):
        return
    with pytest.raises(PlatformRefusedError, match="signature"):
        verify(other, body, timestamp=str(NOW), signature=sign(secret, body, NOW), now_s=NOW)


@given(body=st.binary(), other=st.binary())
def test_another_body_does_not_pass(body, other):
    if body == other:
        return
    with pytest.raises(PlatformRefusedError, match="signature"):
        verify(SECRET, other, timestamp=str(NOW), signature=sign(SECRET, body, NOW), now_s=NOW)


@given(sent=moments, renewed=moments)
def test_the_time_of_a_caught_message_cannot_be_renewed(sent, renewed):
    if sent == renewed:
        return
    signature = sign(SECRET, b"{}", sent)
    with pytest.raises(PlatformRefusedError, match="signature"):
        verify(SECRET, b"{}", timestamp=str(renewed), signature=signature, now_s=renewed)


@given(one=st.tuples(moments, st.binary()), two=st.tuples(moments, st.binary()))
def test_no_two_messages_are_signed_alike(one, two):
    same = sign(SECRET, one[1], one[0]) == sign(SECRET, two[1], two[0])
    assert same == (one == two)


@pytest.mark.parametrize("off", [WINDOW_S + 1, -WINDOW_S - 1, 86400, float("nan"), float("inf")])
def test_a_message_from_outside_the_window_does_not_pass(off):
    signature = sign(SECRET, b"{}", NOW)
    with pytest.raises(PlatformRefusedError, match="300 s off"):
        verify(SECRET, b"{}", timestamp=str(NOW), signature=signature, now_s=NOW + off)


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "1e9", " 1", "١٢٣", "1" * 400, "1\n"])
def test_a_timestamp_that_is_no_number_does_not_pass(timestamp):
    with pytest.raises(PlatformRefusedError, match="timestamp"):
        verify(SECRET, b"", timestamp=timestamp, signature=sign(SECRET, b"", NOW), now_s=NOW)


@given(signature=st.text())
def test_no_signature_out_of_the_blue_passes_or_breaks_anything(signature):
    with pytest.raises(PlatformRefusedError) as error:
        verify(SECRET, b"{}", timestamp=str(NOW), signature=signature, now_s=NOW)
    assert sign(SECRET, b"{}", NOW) not in str(error.value)


def test_a_secret_that_keeps_nobody_out_is_refused():
    with pytest.raises(ConfigurationError, match="15 bytes"):
        sign(b"x" * 15, b"", NOW)


def test_the_signature_is_what_another_implementation_makes():
    """`printf 'v1:1767225600:{}' | openssl dgst -sha256 -hmac 0123456789abcdef`."""
    assert sign(b"0123456789abcdef", b"{}", NOW) == (
        "v1=306fac810622da9498f7a61e2bd320f8cf4633c3c5d490aab113594b0cf3513d"
    )
