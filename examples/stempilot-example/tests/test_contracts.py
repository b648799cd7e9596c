"""The three plug-ins keep the contracts that stempilot ships."""

from typing import Any

from stempilot_example.desktop import Desktop, DesktopConfig
from stempilot_example.focus import Focus, FocusConfig
from stempilot_example.golden import Golden, GoldenConfig

from stempilot import Agent, Backend, Brief, Opening, Task
from stempilot.testing import AgentContract, BackendContract, TaskContract


class TestDesktop(BackendContract):
    """The backend."""

    def make(self) -> Backend:
        """Return a desktop STEM."""
        return Desktop(DesktopConfig(), Opening())


class TestFocus(TaskContract):
    """The task, on that backend."""

    def make(self) -> Task[Any, Any]:
        """Return the task."""
        return Focus(FocusConfig())

    def make_backend(self) -> Backend:
        """Return a desktop STEM."""
        return Desktop(DesktopConfig(), Opening())


class TestGoldenSection(AgentContract):
    """The agent, on that task and backend."""

    def make(self, brief: Brief) -> Agent:
        """Return the agent."""
        return Golden(GoldenConfig(), brief)

    def make_task(self) -> Task[Any, Any]:
        """Return a task with one action; the toy task has two."""
        return Focus(FocusConfig())

    def make_backend(self) -> Backend:
        """Return a desktop STEM."""
        return Desktop(DesktopConfig(), Opening())
