import subprocess
import sys

from stempilot.contract.plugin import API
from stempilot.contract.task import Task
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot_tasks import hooks


def test_the_task_is_offered_with_its_options() -> None:
    plugin = hooks.tasks[0]
    assert (plugin.name, plugin.api, plugin.default) == ("bf-disk-centering", API, True)
    assert all(one.summary and not one.default for one in hooks.tasks[1:])
    chosen = part(discover(only=""), "task", plugin.name, {"goal_px": [3, 4]})
    task = chosen.load()
    assert isinstance(task, Task)
    assert task.config is chosen.config  # type: ignore[attr-defined] # this task's own


def test_offering_imports_nothing_heavy() -> None:
    code = (
        "import pkgutil, sys; from stempilot_tasks import hooks;"
        "[pkgutil.resolve_name(f'stempilot_tasks{one.config}') for one in hooks.tasks];"
        "heavy = {'numpy', 'gymnasium', 'numba'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
