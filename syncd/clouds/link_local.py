"""Link-local addresses: there clouds hand out credentials to whoever asks, so nothing of ours is sent to one.

Used where a configuration names a host, and where one is connected to: names are looked up anew each time.
"""

from ipaddress import ip_address
from socket import inet_aton

WHY = "at link-local addresses clouds hand out credentials"


def is_link_local(host: str) -> bool:
    """Whether it is such an address, in any way to write one; names are not looked up."""
    try:
        address = ip_address(inet_aton(host) if host[:1].isdigit() and ":" not in host else host.partition("%")[0])
    except (ValueError, OSError):
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_link_local
