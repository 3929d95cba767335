"""A program that stands where kubectl would: it keeps what it was called with, and a node's log of what it was asked for.

It speaks kubectl's protocol as far as the canary does; it is no cluster.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

PROGRAM = """#!{python}
import json, os, sys, time
arguments = sys.argv[1:]
text = sys.stdin.read() if "--filename=-" in arguments else ""
with open({calls!r}, "a") as calls:
    calls.write(json.dumps({{"arguments": arguments, "text": text}}) + "\\n")
verb = arguments[0]
if verb == os.environ.get("STAND_IN_HANGS"):
    time.sleep(60)
if verb == os.environ.get("STAND_IN_FAILS"):
    sys.exit("Error from server (Forbidden): \\x1b]52;c;AAAA\\x07 no")
def log(said, more=""):
    stamp = "2026-11-23T06:10:0%d.000000000Z" % len(open({calls!r}).readlines())
    with open({log!r}, "a") as out:
        out.write('time="%s" level=info msg="%s"%s\\n' % (stamp, said, more))
if verb == "create":
    pod = json.loads(text)["metadata"]
    whose = 'name:\\\\"%s\\\\"  uid:\\\\"u-1\\\\"  namespace:\\\\"%s\\\\"' % (pod["name"], pod["namespace"])
    log("RunPodSandbox for " + whose + ' returns sandbox id \\\\"{sandbox}\\\\"')
    log("VM started", " name=containerd-shim-v2 sandbox={sandbox} source=virtcontainers")
if verb == "exec":
    log('ExecSync for \\\\"{sandbox}\\\\" with command ' + str(arguments[arguments.index("--") + 1 :]).replace("'", ""))
"""


def put_kubectl(folder: Path, log: Path, sandbox: str) -> Path:
    """Put the program into a folder that is to be on the PATH; return the file in which it keeps its calls."""
    folder.mkdir()
    calls, program = folder / "calls.jsonl", folder / "kubectl"
    program.write_text(PROGRAM.format(python=sys.executable, calls=str(calls), log=str(log), sandbox=sandbox))
    program.chmod(0o755)
    return calls


def calls_in(calls: Path) -> list[dict[str, Any]]:
    """Read what the program was called with."""
    return [json.loads(line) for line in calls.read_text().splitlines()]


def path_with(folder: Path) -> str:
    """Spell a PATH that begins with a folder."""
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
