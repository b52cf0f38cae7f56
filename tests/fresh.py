"""Scripts in processes that have imported nothing of gapslsim, at the price of a fork each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gapslsim import own_components
from gapslsim.registry import FAMILIES, registered_by_users

_SERVER = """
import json, os, sys, traceback
# What takes long to import and is not ours.
import jaxtyping, networkx, numpy, pandas, pydantic.dataclasses, scipy, yaml

told = []
for script in json.load(sys.stdin):
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
        except BaseException:
            os.write(write, traceback.format_exc()[-4000:].encode())
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        told.append(pipe.read())
    os.wait()
json.dump(told, sys.stdout)
"""


def failures(scripts: dict[str, str]) -> dict[str, str]:
    """Carries out each script in a process of its own, and gives the ends of the tracebacks of those that failed.

    Args:
        scripts: text by name.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SERVER],
        input=json.dumps(list(scripts.values())),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    told = zip(scripts, json.loads(done.stdout), strict=True)
    return {name: text for name, text in told if text}


def forget_components() -> None:
    """Forgets what files have registered in this process: a journal asks for the same components."""
    for family in FAMILIES.made():
        for kind in [kind for kind, cls in family.members.items() if cls in registered_by_users()]:
            del family.members[kind]
        if family in registered_by_users():
            del FAMILIES._made[family.name]
    own_components._LOADED.clear()
    own_components._BESIDE.clear()
