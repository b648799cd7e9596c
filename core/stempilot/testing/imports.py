"""Whether a package is quick to import: every command waits for the hooks of all packages."""

import os
import subprocess
import sys
from importlib.metadata import entry_points

from stempilot.contract.plugin import PROJECT
from stempilot.plugins.registry import Kind, Registry
from stempilot.testing.contract import Contract, does_not_apply, expect

_LONGEST_S = 2.0
_TRIES = 3
"""The first import may have to compile, and the machine may be busy: the best one counts."""

_CODE = """
import importlib, sys, time
import stempilot.testing  # brings what stempilot imports itself
begun = time.monotonic()
for name in sys.argv[1:]:
    importlib.import_module(name)
sys.stderr.write(f"\\n{time.monotonic() - begun}")
"""


def imports_of(registry: Registry, kind: Kind, name: str) -> type[Contract]:
    """Return the suite that imports what every command imports of a plug-in."""

    class Imports(Contract):
        def test_imports_are_quick(self) -> None:
            """Hooks and options are imported within 2 s."""
            entry = registry.entry(kind, name)
            hooks = [
                point.module
                for point in entry_points(group=PROJECT)
                if point.dist is not None and point.dist.name == entry.distribution
            ]
            if not hooks or entry.plugin is None:
                raise does_not_apply("no installed package offers it")
            options = entry.plugin.config.partition(":")[0]
            best = _seconds(*hooks, options)
            for _ in range(1, _TRIES):
                best = min(best, _seconds(*hooks, options)) if best > _LONGEST_S else best
            sentence = f"{', '.join(hooks)} and {options} are imported within {_LONGEST_S:g} s"
            expect(best <= _LONGEST_S, sentence, f"{best:.1f} s")

    return Imports


def _seconds(*modules: str) -> float:
    """Return how long a new Python takes to import them."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, *modules],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stderr.splitlines()[-1])
