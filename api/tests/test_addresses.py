"""Whose address is believed."""

import pytest

from api.addresses import address_of


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        # Without proxies of our own the header is an invention.
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", 0, "192.0.2.1"),
        ("2001:db8::1", "", 0, "2001:db8::1"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("", "", 0, None),
        ("unix:", "10.0.0.1", 0, None),
        # One proxy: what it wrote is on the right.
        ("127.0.0.1", "192.0.2.1", 1, "192.0.2.1"),
        ("127.0.0.1", "10.0.0.1, 192.0.2.1", 1, "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1:4711", 1, "192.0.2.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("127.0.0.1", "2001:db8::1", 1, "2001:db8::1"),
        ("127.0.0.1", "192.0.2.1, nonsense", 1, None),
        ("127.0.0.1", "192.0.2.1,", 1, None),
        ("192.0.2.1", "", 1, None),  # past the proxy
        # Two.
        ("127.0.0.1", "10.0.0.1, 192.0.2.1, 198.51.100.1", 2, "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1,198.51.100.1", 2, "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1", 2, None),  # past the outer one: its entry may be invented
    ],
)
def test_the_entry_of_the_outermost_proxy_is_believed(
    peer: str, forwarded: str, proxies: int, found: str | None
) -> None:
    address = address_of(peer, forwarded, proxies=proxies)
    assert (address and str(address)) == found


def test_a_long_header_is_read_from_the_right_only() -> None:
    assert str(address_of("127.0.0.1", "1.1.1.1," * 100_000 + "192.0.2.1", proxies=1)) == "192.0.2.1"
