"""Which connections are served."""

import pytest

from gateway.http.admission import Admission, counted_address


def admission(most: int = 100, most_per_address: int = 100, most_refused: int = 100) -> Admission:
    return Admission(most, most_per_address, most_refused)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.1", 50000), "192.0.2.1"),
        (("::ffff:192.0.2.1", 50000, 0, 0), "192.0.2.1"),
        (("2001:db8:1:2:3::4", 50000, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 50000, 0, 2), "fe80::/64"),
        (("127.0.0.1", 50000), ""),
        (("127.8.9.1", 50000), ""),
        (("::1", 50000, 0, 0), ""),
        (("::ffff:127.0.0.1", 50000, 0, 0), ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_connection_counts_for_its_owner_and_none_for_this_machine(peer: object, address: str) -> None:
    assert counted_address(peer) == address


def test_one_address_leaves_room_for_others() -> None:
    connections = admission(most_per_address=2)
    assert [connections.enter("a") for _ in range(3)] == [True, True, False]
    assert connections.enter("b")
    connections.leave("a")
    assert connections.enter("a")
    assert not connections.enter("a")


def test_all_addresses_together_have_a_limit() -> None:
    connections = admission(most=2)
    assert [connections.enter(address) for address in ("a", "", "b")] == [True, True, False]
    connections.leave("")
    assert connections.enter("b")


def test_connections_of_this_machine_have_only_the_common_limit() -> None:
    connections = admission(most=5, most_per_address=1)
    assert [connections.enter("") for _ in range(6)] == [True] * 5 + [False]


def test_few_refused_connections_linger() -> None:
    connections = admission(most_refused=1)
    assert connections.enter_refused()
    assert not connections.enter_refused()
    connections.leave_refused()
    assert connections.enter_refused()
