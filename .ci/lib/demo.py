"""What the demo's simulated authentik needs to serve others as well: its address, which the demo does not print, and its token."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LISTENING = "0A"


def token():
    source = (ROOT / "crates/simulator/src/sample.rs").read_text()
    return re.search(r'OUTPOST_TOKEN: &str = "([^"]+)"', source)[1]


def simulator(process, printed):
    """The URL of the simulator in the demo's process, which listens at one more address than it printed."""
    sockets = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            sockets |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
        except OSError:
            continue
    ports = set()
    for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENING and fields[9] in sockets:
            ports.add(int(fields[1].split(":")[1], 16))
    (port,) = ports - {int(address.rsplit(":", 1)[1]) for address in printed}
    return f"http://127.0.0.1:{port}"
