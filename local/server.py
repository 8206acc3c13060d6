"""Starts, finds and stops the emulator's process. Standard library only."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Final

from local.home import ROOT, Home, LocalError

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 4566
REGION: Final = "us-east-1"
# The emulator's root user: with IAM enforced, it alone may do anything.
ACCESS_KEY: Final = "test"
SECRET_KEY: Final = "test"
# Reached only if something is broken, never for want of speed.
START_SECONDS: Final = 180
STOP_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Server:
    """A running emulator."""

    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"


def running(home: Home) -> Server | None:
    """The emulator of this home, if one lives: it holds the lock as long as it does."""
    try:
        lock = home.lock.open()
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Server(**json.load(lock))
    return None


def free_port() -> int:
    """A port nobody uses just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def start(home: Home, port: int) -> Server:
    """Start the emulator in the background and return when it answers."""
    _refuse_taken(port)
    shutil.rmtree(home.scratch, ignore_errors=True)
    home.scratch.mkdir(parents=True)
    with home.server_log.open("w") as log:
        # A session of its own: it outlives the terminal, and its workers end with its group.
        process = subprocess.Popen(
            [ROOT / ".local/emulator/bin/python", "-m", "local.emulator"],
            cwd=ROOT,
            env=_environment(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise LocalError(f"The emulator did not start; its log is {home.server_log}")
        time.sleep(0.05)
    return Server(pid=process.pid, port=port)


def stop(home: Home) -> Server | None:
    """Stop the emulator with all its workers; says which one it was."""
    server = running(home)
    if server is None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    shutil.rmtree(home.scratch, ignore_errors=True)
    for left in (home.environment, home.function_variables, home.outputs, home.lock):
        left.unlink(missing_ok=True)
    return server


def _environment(home: Home, port: int) -> dict[str, str]:
    """All that the emulator sees, and with it the functions: nothing of the developer's own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home.scratch),
        "TMPDIR": str(home.scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "EMULATOR_LOCK": str(home.lock),
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # It would look for containers of its own and remove them.
        "DOCKER_HOST": f"unix://{home.scratch}/no-docker",
    }


def _answers(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalError(
                f"Port {port} cannot be used ({error.strerror}): choose another, for example "
                f"make local PORT={free_port()}"
            ) from error
