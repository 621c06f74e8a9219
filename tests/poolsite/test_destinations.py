"""Prove the policy: which texts and addresses pass, and what an origin is."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.addresses import Reach, embedded_addresses, reach_of
from poolsite.destinations import (
    Category,
    EgressRefusedError,
    OriginMismatchError,
    Scope,
    Vetter,
    host_port_of,
    origin_of,
    parse_host_port,
    parse_url,
    require_origin,
)

PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8")
PRIVATE = (
    "10.0.0.1", "127.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1",
    "192.0.2.1", "::1", "fc00::1", "fd12::1", "fec0::1", "2001:db8::1", "100::1",
    "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2001:0:808:808::80ff:fffe",
    "::127.0.0.1", "::ffff:0:127.0.0.1", "2620::5efe:10.0.0.1",
)  # fmt: skip
NEVER = (
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "::", "fe80::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "2001:0:a9fe:a9fe::", "::ffff:0:169.254.169.254", "2620::5efe:169.254.169.254",
)  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_address_passes(text: str) -> None:
    assert reach_of(ipaddress.ip_address(text)) is Reach.PUBLIC
    Vetter().check_address(text, 443)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_address_needs_a_scope(text: str) -> None:
    assert reach_of(ipaddress.ip_address(text)) is Reach.PRIVATE
    with pytest.raises(EgressRefusedError):
        Vetter().check_address(text, 80)
    Vetter().check_address(text, 80, Scope("ollama.lan", 80))
    with pytest.raises(EgressRefusedError):
        Vetter().check_address(text, 81, Scope("ollama.lan", 80))


@pytest.mark.parametrize("text", NEVER)
def test_metadata_and_unusable_addresses_are_never_reached(text: str) -> None:
    everything = Vetter(["0.0.0.0/0", "::/0"])
    with pytest.raises(EgressRefusedError):
        everything.check_address(text, 80, Scope(text, 80))


@given(st.ip_addresses(v=4))
@settings(max_examples=200)
def test_an_address_inside_another_is_judged_as_strictly(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    for carrier in ("::ffff:0:0", "64:ff9b::", "::ffff:0:0:0"):
        outer = ipaddress.IPv6Address(int(ipaddress.IPv6Address(carrier)) + number)
        assert embedded_addresses(outer) == (address,)
        assert reach_of(outer) is reach_of(address)
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (number << 80))
    assert reach_of(six_to_four).value >= reach_of(address).value


@given(st.ip_addresses())
@settings(max_examples=200)
def test_nothing_the_standard_library_calls_local_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    local = address.is_loopback or address.is_link_local or address.is_multicast
    if local or address.is_unspecified or address.is_private:
        inner = embedded_addresses(address)
        assert reach_of(address) is not Reach.PUBLIC or inner


def test_allowed_network_opens_private_addresses_for_everybody() -> None:
    vetter = Vetter(["192.168.0.0/16"])
    vetter.check_address("192.168.3.4", 11434)
    vetter.check_address("::ffff:192.168.3.4", 11434)
    with pytest.raises(EgressRefusedError):
        vetter.check_address("10.0.0.1", 11434)


def test_allowed_literal_opens_one_port_of_one_address() -> None:
    vetter = Vetter(["127.0.0.1:11434", "[::1]:8000"])
    vetter.check_address("127.0.0.1", 11434)
    vetter.check_address("::1", 8000)
    for address, port in (("127.0.0.1", 11435), ("127.0.0.2", 11434), ("::1", 11434)):
        with pytest.raises(EgressRefusedError):
            vetter.check_address(address, port)


def test_allowed_name_scopes_only_its_exact_host_and_port() -> None:
    vetter = Vetter(["ollama.lan:11434"])
    assert vetter.check_url("http://ollama.lan:11434/api").scope == Scope(
        "ollama.lan", 11434
    )
    assert vetter.check_url("http://ollama.lan:11435/api").scope is None
    assert vetter.check_url("http://other.lan:11434/api").scope is None


def test_provider_allowance_is_not_shared() -> None:
    vetter = Vetter()
    allowed = frozenset({host_port_of("http://127.0.0.1:11434/v1")})
    assert vetter.check_url("http://127.0.0.1:11434/x", allowed).scope is not None
    with pytest.raises(EgressRefusedError, match="private"):
        vetter.check_url("http://127.0.0.1:11434/x")
    with pytest.raises(EgressRefusedError, match="private"):
        vetter.check_url("http://127.0.0.1:11435/x", allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://METADATA.google.internal/",
        "http://x.metadata.goog/",
        "http://instance-data/latest/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
    ],
)
def test_metadata_is_refused_by_name_and_by_address(url: str) -> None:
    vetter = Vetter(["169.254.0.0/16", "metadata.google.internal:80"])
    with pytest.raises(EgressRefusedError, match="never"):
        vetter.check_url(url, frozenset({host_port_of(url)}))


def test_name_that_merely_ends_like_metadata_passes() -> None:
    assert Vetter().check_url("https://my-instance-data/").host == "my-instance-data"


def test_identity_adapter_reaches_only_its_fixed_path() -> None:
    url = "http://169.254.169.254/metadata/identity/oauth2/token?resource=x"
    found = Vetter(cloud_metadata=["azure"]).check_metadata_url("azure", url)
    assert found.scope == Scope("169.254.169.254", 80, is_metadata=True)
    Vetter().check_address("169.254.169.254", 80, found.scope)
    for other in ("169.254.170.2", "10.0.0.1", "127.0.0.1"):
        with pytest.raises(EgressRefusedError):
            Vetter().check_address(other, 80, found.scope)


@pytest.mark.parametrize(
    ("clouds", "cloud", "url"),
    [
        ([], "azure", "http://169.254.169.254/metadata/identity/oauth2/token"),
        (["aws"], "azure", "http://169.254.169.254/metadata/identity/oauth2/token"),
        (["azure"], "azure", "http://169.254.169.254/metadata/instance"),
        (
            ["azure"],
            "azure",
            "http://169.254.169.254:8080/metadata/identity/oauth2/token",
        ),
        (["aws"], "aws", "http://169.254.170.2/v2/credentials/../x"),
    ],
)
def test_identity_path_is_refused_otherwise(
    clouds: list[str], cloud: str, url: str
) -> None:
    with pytest.raises(EgressRefusedError, match="never"):
        Vetter(cloud_metadata=clouds).check_metadata_url(cloud, url)


def test_unknown_cloud_and_unreadable_entries_are_named() -> None:
    with pytest.raises(ValueError, match="nimbus"):
        Vetter(cloud_metadata=["nimbus"])
    for entry in ("localhost", "127.0.0.1", "[::1]", "a b:80", "x:99999"):
        with pytest.raises(ValueError, match="host:port"):
            Vetter([entry])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.Example.com/v1", "https://api.example.com:443"),
        ("https://api.example.com:443", "https://api.example.com:443"),
        ("http://api.example.com:8080/a?b=c", "http://api.example.com:8080"),
        ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
        ("http://[::1]:5/", "http://[::1]:5"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]:80"),
        ("http://①②⑦.⓪.⓪.①:80/", "http://127.0.0.1:80"),
    ],
)
def test_origin_is_normalised(url: str, origin: str) -> None:
    assert origin_of(url) == origin
    assert origin_of(parse_url(url).url) == origin


def test_secret_is_refused_another_origin() -> None:
    require_origin("https://a.example/v1/x", "https://a.example:443")
    for url in (
        "http://a.example:443/",
        "https://a.example:444/",
        "https://b.example/",
        "https://a.example.b.example/",
    ):
        with pytest.raises(OriginMismatchError) as caught:
            require_origin(url, "https://a.example:443")
        assert caught.value.category is Category.REFUSED_BY_POLICY


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/v1"):
        try:
            found = parse_url(url)
        except EgressRefusedError:
            continue
        assert origin_of(f"{found.origin}/") == found.origin
        assert found.host.isascii()


def test_host_port_reads_brackets() -> None:
    assert parse_host_port("[::1]:8000") == ("::1", 8000)
    assert parse_host_port("Ollama.lan:11434") == ("ollama.lan", 11434)
