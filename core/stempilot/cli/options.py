"""Options that several commands share, so that each spells them the same way."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
OptionalTask = Annotated[
    str | None, typer.Argument(metavar="TASK", help="Name of the task.", show_default=False)
]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        "-b",
        metavar="NAME",
        help="Name of the backend. (default: the policy's, else see stempilot plugins)",
    ),
]
AgentName = Annotated[
    str | None,
    typer.Option(
        "--agent", "-a", metavar="NAME", help="Name of the agent. (default: see stempilot plugins)"
    ),
]
Policy = Annotated[
    Path | None, typer.Option("--policy", metavar="RUN", help="A trained run directory.")
]
Episodes = Annotated[
    int | None,
    typer.Option(
        "--episodes", min=1, help="Evaluate over so many episodes instead of running once."
    ),
]
Keep = Annotated[
    bool | None,
    typer.Option(
        "--keep/--put-back",
        help="Leave the knobs where they end. (default: keep a run, put back an evaluation)",
    ),
]
Adapt = Annotated[
    bool,
    typer.Option("--adapt", help="Relearn when the response is found to be no longer what it was."),
]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", metavar="RUN", help="Go on with a training that was interrupted."),
]
Steps = Annotated[int, typer.Option("--steps", "-n", min=1, help="Timesteps to train.")]


class Until(StrEnum):
    """What ends a training early."""

    CONVERGED = "converged"


UntilConverged = Annotated[
    Until | None,
    typer.Option("--until", help="End as soon as five evaluations in a row have passed."),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes", metavar="N", help="After so long, end as by Ctrl-C. (default: no limit)"
    ),
]
Best = Annotated[
    bool,
    typer.Option("--best", help="Take the agent that did best in an evaluation, not the last one."),
]
FromLog = Annotated[
    Path | None,
    typer.Option(
        "--from-log",
        metavar="RUN",
        help="Learn from what another run recorded first, before anything moves.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed; the same one reproduces the run.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Run directory to make. (default: runs/...)"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="An option of task, backend, agent or run; may be repeated.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file with sections task, backend, agent, run; --set overrides it.",
    ),
]
EnvelopeFile = Annotated[
    Path | None,
    typer.Option(
        "--envelope", metavar="FILE", help="What may be moved how far; see envelope init."
    ),
]
Frames = Annotated[
    str | None,
    typer.Option(
        "--frames",
        metavar="none|ends|every-N|all",
        help="Which frames to keep. (default: ends for a single run, else none)",
    ),
]
AcceptPosition = Annotated[
    bool,
    typer.Option(
        "--accept-position",
        help="Begin where the knobs stand now, even if an earlier run left them displaced.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, show the plan, move nothing.")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before a real instrument moves.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
