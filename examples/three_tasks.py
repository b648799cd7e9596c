"""Three tasks in one session; each begins where the one before it ended."""

import stempilot

GOALS = [(0.0, 0.0), (60.0, -40.0), (-60.0, 40.0)]

registry = stempilot.discover()
tasks = [registry.task("bf-disk-centering", goal_px=goal) for goal in GOALS]
backend = registry.backend("simulator", seed=1)
with stempilot.open_session(backend, tasks, name="simulator") as session:
    for task in tasks:
        result = session.play(task, "adaptive")
        print(result.success, result.steps, dict(result.products))
