"""Reads which cluster a data folder holds, also where no server runs."""

from __future__ import annotations

import struct
import sys
from pathlib import Path


def system_identifier(data_folder: Path) -> str:
    """Return the identifier that initdb gave a cluster; "" where the folder holds none."""
    try:
        with (data_folder / "global" / "pg_control").open("rb") as file:
            head = file.read(8)
    except OSError:
        return ""
    order = "<Q" if sys.byteorder == "little" else ">Q"
    return str(struct.unpack(order, head)[0]) if len(head) == 8 else ""
