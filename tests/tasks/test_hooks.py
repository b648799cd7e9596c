import subprocess
import sys

from stempilot.contract.plugin import API
from stempilot.contract.task import Task
from stempilot.plugins.options import build
from stempilot_tasks import hooks


def test_the_task_is_offered_with_its_options() -> None:
    (plugin,) = hooks.stempilot_tasks()
    assert (plugin.name, plugin.api) == ("bf-disk-centering", API)
    assert plugin.summary
    config = build(plugin.config(), {"goal_px": [3, 4]}, section="task")
    task = plugin.load(config)
    assert isinstance(task, Task)
    assert task.config is config  # type: ignore[attr-defined] # this task's own


def test_offering_imports_nothing_heavy() -> None:
    code = (
        "import sys; from stempilot_tasks import hooks; (plugin,) = hooks.stempilot_tasks();"
        "plugin.config(); heavy = {'numpy', 'gymnasium', 'numba'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
