# SPDX-License-Identifier: GPL-2.0
"""What the tools share: one another, and the result of a VM."""

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent


def load(name):
    """Another tool of ours, whose file has no suffix."""
    loader = importlib.machinery.SourceFileLoader(name, str(TOOLS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def boot(results, name, *argv):
    """What vm.py writes of a boot; never what an earlier one of that name has left."""
    saved = results / f"{name}.json"
    saved.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, TOOLS / "vm.py", "--results", results, "--name", name, *argv],
                          capture_output=True, text=True, check=False)
    if not saved.exists():
        said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        sys.exit(f"{name}: {said[-1]}")
    return json.loads(saved.read_text())
