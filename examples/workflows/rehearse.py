"""Plays morning-alignment.toml on the simulator; a scripted operator does what each step says."""

from pathlib import Path
from typing import Any

import stempilot

FILE = Path(__file__).with_name("morning-alignment.toml")
FILM: dict[str, dict[str, Any]] = {
    "film-in": {"film": "in", "semi_angle_rad": 0.03, "camera_length_m": 1.2},
    "film-out": {"film": "out", "semi_angle_rad": 0.0173, "camera_length_m": 0.16},
}
"""What the operator changes in each step; the semi-angles are those of two apertures."""

workflow = stempilot.read_workflow(FILE)
simulator: Any = stempilot.discover().backend("simulator", seed=1, probe_current_a=1e-10)


def operator(question: str) -> bool:
    """Do what a step says, and confirm it."""
    print(question)
    simulator.operate(**FILM[question.partition(":")[0]])
    return True


tasks = workflow.tasks()
with stempilot.open_session(simulator, tasks, name="simulator", in_parts=True) as session:
    result = workflow.run(session, operator=operator, seed=1)
for line in result.log:
    print(line["step"], line["event"], line.get("reason", ""))
for step, products in result.products.items():
    for name, product in products.items():
        print(f"{step}.{name} = {product.value:.4g} {product.unit}")
print("success" if result.success else result.reason)
