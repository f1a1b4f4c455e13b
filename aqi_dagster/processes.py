"""Processes that this one started."""

import subprocess


def end_process(process: subprocess.Popen[bytes], patience: float) -> bool:
    """End a process, by force after ``patience`` seconds; returns whether it ended by itself."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True
