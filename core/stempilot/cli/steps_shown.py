"""The steps of a workflow as they go: a live tree in a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

from rich.live import Live
from rich.markup import escape
from rich.tree import Tree

from stempilot.cli import render

_MARKS = {
    "": "[dim]-[/dim]",
    "began": "[yellow]>[/yellow]",
    "done": "[green]ok[/green]",
    "failed": "[red]failed[/red]",
    "interrupted": "[red]interrupted[/red]",
    "stopped": "[red]stopped[/red]",
}


class StepsShown:
    """Shows a workflow while it is carried out.

    Args:
        workflow: its steps.
        lines: the log so far.
    """

    def __init__(self, workflow: Any, lines: Sequence[Mapping[str, Any]] = ()) -> None:
        self._name = workflow.name
        self._steps: dict[str, Mapping[str, Any]] = {step.name: {} for step in workflow.steps}
        self._live = self._new()
        for line in lines:
            self._steps[str(line.get("step"))] = line

    def __enter__(self) -> Self:
        """Begin to show."""
        self._draw(lambda live: live.start())
        return self

    def __exit__(self, *_: object) -> None:
        """Leave what was shown last."""
        self._draw(lambda live: live.stop())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let a question stand below."""
        self._draw(lambda live: live.stop())
        yield
        # Another one, which draws below the question and not over it.
        self._live = self._new()
        self._draw(lambda live: live.start())

    @staticmethod
    def _new() -> Live | None:
        return Live(console=render.err, auto_refresh=False) if render.err.is_terminal else None

    def show(self, line: Mapping[str, Any]) -> None:
        """Show a line of the log."""
        if line["event"] == "repeated":
            self._steps = {name: {} for name in self._steps}
        else:
            self._steps[line["step"]] = line
        if self._live is None:
            render.remark(f"{line.get('step', self._name)}: {_said(line)}")
        self._draw(lambda live: None)

    def _draw(self, act: Any) -> None:
        """Draw the tree, where there is a terminal; one that is gone ends no workflow."""
        if self._live is None:
            return
        tree = Tree(escape(self._name))
        for name, line in self._steps.items():
            said = escape(_said(line)) if line else ""
            tree.add(f"{_MARKS[line.get('event', '')]} {escape(name)}  [dim]{said}[/dim]")
        with suppress(OSError, ValueError):
            act(self._live)
            self._live.update(tree, refresh=True)


def _said(line: Mapping[str, Any]) -> str:
    """Return a line of the log as people read it."""
    parts = [line["event"]]
    products = line.get("products", {})
    parts += [f"{name} = {render.product(one)}" for name, one in products.items()]
    parts += [f"{name} reads {value}" for name, value in line.get("read_back", {}).items()]
    parts += [f"{name} cannot be read" for name in line.get("not_read", [])]
    parts += [line["reason"]] if line.get("reason") else []
    parts += [line["then"]] if line.get("then") not in {None, "next"} else []
    return ", ".join(parts)
