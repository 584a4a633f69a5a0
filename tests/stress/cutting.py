"""Cut the power of a disk that a store writes to, again and again, and look at what it keeps.

    python cutting.py STORE --cuts 100 --seed 1 --durability power

The disk is a file with an ext4 file system. It is shut down, without flushing anything, by the
kernel (EXT4_IOC_SHUTDOWN), the writer is killed, and the disk mounted again: what nobody had waited
for is gone. With ``--durability power`` nothing may be lost that was told to be committed, and of
the step that was under way all or nothing may be there. With ``process`` steps may be lost from the
end; they are counted, and so are states that are none of those after a step ("torn"). What this
does not show: a disk that loses or reorders what it has in its own cache, and torn sectors.
Needs Linux and root. The last line that is printed is the result,
as JSON.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killing import Campaign, LostError
from programs import difference, steps
from stressed import BY_NAME

_SHUTDOWN = 0x8004587D
_WITHOUT_FLUSHING = struct.pack("I", 2)
_SIZE_BYTES = 256 << 20
_UMOUNT_SECONDS = 10.0


class Disk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, base: Path) -> None:
        self._image = base / "image"
        self.place = base / "disk"
        self.place.mkdir()
        with open(self._image, "wb") as image:
            image.truncate(_SIZE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True, capture_output=True)
        self.mount()

    def mount(self) -> None:
        command = ["mount", "-o", "loop", str(self._image), str(self.place)]
        subprocess.run(command, check=True, capture_output=True)

    def umount(self) -> None:
        deadline = time.monotonic() + _UMOUNT_SECONDS
        while True:
            done = subprocess.run(["umount", self.place], capture_output=True, check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                subprocess.run(["umount", "--lazy", self.place], check=False)
                raise OSError(done.stderr.decode())
            time.sleep(0.01)  # it is busy for a moment after a kill

    def cut(self) -> None:
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _SHUTDOWN, _WITHOUT_FLUSHING)
        finally:
            os.close(place)


def why_not() -> str:
    """Why power cannot be cut here; "" if it can."""
    if not sys.platform.startswith("linux"):
        return "only Linux has the ioctl"
    if os.geteuid() != 0:
        return "only root may mount a disk"
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    with tempfile.TemporaryDirectory(prefix="encore-cuts-") as name:
        try:
            disk = Disk(Path(name))
            disk.cut()
            disk.umount()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"a disk cannot be mounted and cut: {error}"
    return ""


class Cuts(Campaign):
    """A campaign whose processes die together with their disk."""

    may_fail = True
    waits = (0, 1, 2, 5, 10, 20)

    def __init__(self, name: str, disk: Disk, seed: int, durability: str) -> None:
        self.disk = disk
        self._place()
        super().__init__(BY_NAME[name], disk.place / "root", seed, durability)
        self.may_leave_files = durability != "power"

    def _place(self) -> None:
        (self.disk.place / "root").mkdir(exist_ok=True)

    def begin_anew(self) -> None:
        """Start from nothing, after a state that was none."""
        shutil.rmtree(self.root)
        self._place()
        self.number, self.state = self.number + 1, {}
        os.sync()

    def examine_cut(self, told: int, heard: int) -> None:
        """Find out how many steps are there.

        Parameters
        ----------
        told : int
            The last step that was told to be committed before the cut.
        heard : int
            The last that was told at all. The kernel may answer a call for success that it
            broke off: a process that dies with its disk cannot tell anybody.
        """
        states = [(self.number, self.state)]
        for step in steps(self.seed, self.number, self.state):
            states.append((step.number, step.after))
            if step.number > heard:
                break
        self.counts["acknowledged"] += told - self.number
        (self.root).mkdir(exist_ok=True)
        with self.open(timeout=2.0) as store:
            differences = [difference(store, state) for _, state in reversed(states)]
        if "" not in differences:
            raise LostError(f"after step {heard} of seed {self.seed}, torn: {differences[1]}")
        number, state = states[-1 - differences.index("")]
        lost = max(0, told - number)
        self.counts["lost"] += lost
        self.counts["cuts with loss"] += lost > 0
        self.counts["told during a cut"] += heard - told
        self.counts["told during a cut, not kept"] += max(0, heard - max(number, told))
        if lost and self.durability == "power":
            raise LostError(f"steps {number + 1} to {told} of seed {self.seed} were lost")
        self.number, self.state = number, state

    def run(self, cuts: int) -> None:
        os.sync()
        for cut in range(cuts):
            heard = self.start()
            told = self.listen(heard, self.wait(heard))
            if self.has_ended():
                raise LostError(f"the process ended by itself after step {told}")
            self.disk.cut()
            last = self.kill(heard, told)
            self.disk.umount()
            self.disk.mount()
            self.counts["cuts"] += 1
            try:
                self.examine_cut(told, last)
            except Exception as error:  # a store that cannot be opened is torn as well
                if self.durability == "power":
                    raise LostError(f"cut {cut}: {error}") from error
                self.counts["torn"] += 1
                self.begin_anew()
            if cut % 10 == 0 or cut == cuts - 1:
                self.look_for_residue()
                os.sync()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", default="power", choices=["power", "process"])
    options = parser.parse_args()
    reason = why_not()
    if reason:
        print(json.dumps({"skipped": reason}))
        return
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    base = Path(tempfile.mkdtemp(prefix="encore-cuts-", dir=memory))
    begin = time.monotonic()
    # Whoever ends this program finds no disk mounted.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("ended"))
    disk = Disk(base)
    try:
        campaign = Cuts(options.store, disk, options.seed, options.durability)
        try:
            campaign.run(options.cuts)
        finally:
            campaign.end()
    finally:
        disk.umount()
        shutil.rmtree(base)
    told = {"store": options.store, "durability": options.durability, "seed": options.seed}
    seconds = round(time.monotonic() - begin, 1)
    print(json.dumps({**told, "seconds": seconds, **campaign.counts}))


if __name__ == "__main__":
    main()
