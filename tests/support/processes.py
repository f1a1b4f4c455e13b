"""Processes of this machine, and where they listen."""

import contextlib
import ipaddress
from pathlib import Path


def listening(pid: int) -> set[str]:
    """Addresses at which a process and its descendants listen, as Linux lists them."""
    links = [link for process in with_descendants(pid) for link in Path(f"/proc/{process}/fd").iterdir()]
    inodes = set()
    for link in links:
        with contextlib.suppress(FileNotFoundError):
            inodes.add(str(link.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in inodes:
                found.add(_address(local.split(":")[0]))
    return found


def with_descendants(pid: int) -> set[int]:
    """A process and all that descend from it, as Linux lists them."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _address(hexadecimal: str) -> str:
    """An address of /proc/net, which is written in words of four bytes in the order of the machine."""
    words = [bytes.fromhex(hexadecimal[at : at + 8])[::-1] for at in range(0, len(hexadecimal), 8)]
    address = ipaddress.ip_address(b"".join(words))
    # Java listens at IPv4 addresses in their IPv6 form.
    return str(getattr(address, "ipv4_mapped", None) or address)
