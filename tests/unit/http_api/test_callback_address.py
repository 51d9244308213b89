"""Only https addresses of the open internet are called, whatever a client writes and a name answers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Rejected, Unavailable
from bot.http_api.callback_address import AddressRules, is_public

PUBLIC, OTHER_PUBLIC = "93.184.216.34", "2606:2800:220:1::1"
INSIDE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fec0::1",
]


def rules(*addresses, loopback=False):
    return AddressRules(loopback=loopback, resolve=lambda _host, _port: addresses)


def test_a_public_name_is_called_at_the_address_that_was_checked():
    found = rules(PUBLIC, OTHER_PUBLIC).destination("https://hooks.example.com:8443/a/b?c=d")

    assert (found.host, found.port, found.address) == ("hooks.example.com", 8443, PUBLIC)
    assert (found.target, found.is_secure) == ("/a/b?c=d", True)


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_inside_is_not_called(address):
    for answer in ((address,), (PUBLIC, address)):
        with pytest.raises(Rejected, match="callback_address"):
            rules(*answer).destination("https://hooks.example.com/")


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused_when_it_is_sent(address):
    host = f"[{address}]" if ":" in address else address

    assert rules(PUBLIC).refusal(f"https://{host}/") is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "hooks.example.com",
        "https://",
        "https:///path",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nx: y",
        "https://hööks.example.com/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://db.internal/",
        "https://intranet/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://0x7f.0.0.0x1/",
        "https://ex%61mple.com/",
        "https://hooks..example.com/",
        "https://-hooks.example.com/",
        f"https://{'a' * 64}.example.com/",
        "https://[::1/",
        "https://[::ffff:7f00:1]/",
        "http://127.0.0.1:8080/",
    ],
)
def test_a_url_of_another_shape_is_refused_with_its_reason(url):
    reason = rules(PUBLIC).refusal(url)

    assert reason is not None
    assert reason.endswith(".")
    with pytest.raises(Rejected):
        rules(PUBLIC).destination(url)


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"https://{text}"))
def test_no_text_makes_it_fail(text):
    reason = rules("10.0.0.1").refusal(text)

    assert reason is None or reason.endswith(".")


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address):
    if not address.is_global or address.is_multicast:
        assert not is_public(str(address))


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_by_itself(inner):
    for wrapped in (
        f"::ffff:{inner}",
        str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(inner))),
    ):
        assert is_public(wrapped) == is_public(str(inner))


@pytest.mark.parametrize(
    "host", ["a.example", "HOOKS.Example.com.", "a_b.c-d.example", "xn--hks-sna.example", "8.co"]
)
def test_a_name_is_one_however_it_is_written(host):
    assert rules(PUBLIC).refusal(f"https://{host}/") is None


def unresolved(_host, _port):
    raise OSError("no such name")


@pytest.mark.parametrize("resolve", [unresolved, lambda _host, _port: []])
def test_a_name_without_an_answer_is_tried_again(resolve):
    with pytest.raises(Unavailable, match="callback_unresolved"):
        AddressRules(resolve=resolve).destination("https://hooks.example.com/")


def test_the_loopback_is_called_where_a_rehearsal_says_so():
    found = rules(loopback=True).destination("http://127.0.0.1:8080/x")

    assert (found.address, found.port, found.is_secure) == ("127.0.0.1", 8080, False)


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://localhost/", "http://hooks.example.com/"])
def test_even_then_nothing_else_is_called_without_https(url):
    assert rules(PUBLIC, loopback=True).refusal(url) is not None
