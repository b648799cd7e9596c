"""Makes the replay backend."""

from pathlib import Path

from stempilot import Opening
from stempilot_backends.replay.backend import Replay, TruthfulReplay
from stempilot_backends.replay.config import ReplayConfig
from stempilot_backends.replay.recording import read_recording


def load_replay(config: ReplayConfig, opening: Opening) -> Replay:
    """Return a recorded run as an instrument; one that knows the truth where that was recorded.

    Raises:
        RunDirError: it is no run, was not recorded with all frames, or is damaged.
    """
    del opening  # what was recorded does not depend on what the session is for
    recording = read_recording(Path(config.run))
    return TruthfulReplay(recording) if recording.has_truth else Replay(recording)
