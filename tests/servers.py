"""Real servers for tests: started when the first test needs one, on loopback, ended by their ids.

`BucketServer` is SeaweedFS, an S3 server that checks signatures, keeps conditions and completes
multipart uploads. Every port it would choose by itself is given, so that several can run.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import requests

ACCESS_KEY = "encore-tests"
SECRET_KEY = "CANARY-of-the-bucket-server"  # looked for in messages, where it must not be
REGION = "us-east-1"
BUCKET = "encore"

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_PORTS = ("master", "volume", "filer", "s3")
_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


class BucketServer:
    """An S3 server with one empty bucket, for as long as the block.

    Attributes
    ----------
    url : str
        Its endpoint.
    client : obstore.store.S3Store
        One that tests may share: making one costs more than most tests.
    """

    def __init__(self) -> None:
        self.url = ""
        self.client: Any = None
        self._filer = ""
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        directory = tempfile.mkdtemp(prefix="encore-server-", dir=memory)
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        try:
            self._start(Path(directory))
            self.make_bucket(BUCKET, _START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        self.client = self.make_client(BUCKET)
        self.client.list().collect()  # what obstore opens once for the process is open from here on
        return self

    def __exit__(self, *_: object) -> None:
        self.client = None
        self.stop()
        self._stack.close()

    def stop(self) -> None:
        """End the server at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def make_client(self, bucket: str, secret_key: str = SECRET_KEY, **options: Any) -> Any:
        """A client of obstore."""
        from obstore.store import S3Store

        return S3Store(
            bucket,
            endpoint=self.url,
            access_key_id=ACCESS_KEY,
            secret_access_key=secret_key,
            region=REGION,
            client_options={"allow_http": True},
            **options,
        )

    def make_bucket(self, bucket: str, seconds: float = 10.0) -> None:
        """Make a bucket, which obstore cannot, as soon as the server answers."""
        import obstore

        client = self.make_client(bucket)
        last: object = None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, "the server has ended"
            url = obstore.sign(client, "PUT", "", timedelta(minutes=1))
            try:
                last = requests.put(url, timeout=5).status_code
            except requests.ConnectionError as error:
                last = error
            if last == 200:
                return
            threading.Event().wait(_LOOK_SECONDS)
        raise TimeoutError(f"the server has not made a bucket: {last}")

    def unfinished_uploads(self, bucket: str = BUCKET) -> int:
        """How many uploads have neither been completed nor aborted."""
        found = requests.get(
            f"{self._filer}/buckets/{bucket}/.uploads/",
            headers={"Accept": "application/json"},
            timeout=5,
        )
        return 0 if found.status_code == 404 else len(found.json()["Entries"] or ())

    def _start(self, directory: Path) -> None:
        numbers = _free_ports(2 * len(_PORTS))
        ports = [
            f"-{name}.port{suffix}={numbers.pop()}" for name in _PORTS for suffix in ("", ".grpc")
        ]
        *_, filer, _, s3, _ = (f"http://127.0.0.1:{port.partition('=')[2]}" for port in ports)
        self.url, self._filer = s3, filer
        identities = directory / "identities.json"
        identities.write_text(json.dumps(_IDENTITIES))
        data = directory / "data"
        data.mkdir()
        command = [
            Path(sys.executable).parent / "weed", "-logtostderr=true", "server", f"-dir={data}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024", "-volume.max=50",
            f"-filer.localSocket={directory / 'filer.sock'}",
            "-s3", "-s3.ip.bind=127.0.0.1", f"-s3.config={identities}",
            f"-s3.localSocket={directory / 's3.sock'}", "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0", *ports,
        ]  # fmt: skip
        with open(directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory
            )


def prefix_for(directory: Path) -> str:
    """What stands for a directory in a bucket."""
    return sha256(str(directory).encode()).hexdigest()[:16]


def sockets_to(port: int) -> set[str]:
    """The sockets of this machine that lead to a port, as the names of descriptors show them."""
    table = Path("/proc/self/net/tcp")
    if not table.exists():
        return set()
    lines = (line.split() for line in table.read_text().splitlines()[1:])
    return {f"socket:[{line[9]}]" for line in lines if line[2].endswith(f":{port:04X}")}


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all of them are tried at once, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
