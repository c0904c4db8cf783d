#!/usr/bin/env python3
"""Install the Debian package on a Debian that systemd boots, and see it live there, on a genuine Kafka.

    sudo systemd_check.py --deb .build/segmentd_0.1.0_amd64.deb --bootstrap 127.0.0.1:9092

A Debian without Swift is made with debootstrap (kept in --cache; the first time takes minutes) and booted
with systemd-nspawn, which shares the network: the broker may be on loopback. A simulated shop is fed to a
topic of its own, and these are held, each with a figure:

- the package installs with apt, starts nothing; units are verified, exposure is at most 1.5
- start: ready, a status line that `systemctl status` shows, customers and a model; secrets as credentials
- reload: acknowledged, the same process; a broken configuration makes the reload fail and changes nothing
- stop: drains under load within its limit; the next start has every customer
- SIGSTOP: the watchdog trips, the restart has every customer
- a bad configuration ends with status 2, and is not tried again
- an instance beside it
- upgrade: state, configuration and being enabled stay; every row is as in the instance, which was never
  stopped before
- remove stops, purge leaves nothing: no file, no user

Ends with status 1 if anything is not so. Needs root and the Debian packages systemd-container and
debootstrap. Topics carry a run's own names and stay on the broker.
"""

import argparse
import atexit
import doctest
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

SCRIPTS = pathlib.Path(__file__).resolve().parent
SECRET = "the-secret-of-this-check"
CONFIGURATION = "etc/segmentd/segmentd.yaml"
# What apt, dpkg and the journal keep of every package.
FOREIGN = re.compile(r"^/(var/(log|cache|lib/apt|lib/dpkg)|proc|sys|run/systemd|run/log|dev|tmp|root)(/|$)")


class Verdicts:
    """Lines of what was held, and whether all of it was so."""

    def __init__(self):
        self.failures = 0

    def hold(self, what, is_so, figure=""):
        """Prints one verdict."""
        self.failures += not is_so
        print(f"{'ok  ' if is_so else 'FAIL'} {what}{': ' if figure != '' else ''}{figure}", flush=True)
        return is_so


class Machine:
    """A booted Debian in a folder."""

    def __init__(self, root, cache):
        self.root, self.cache, self.process, self.leader = root, cache, None, None

    def make(self, suite):
        """Unpacks the Debian, made now if there is none yet."""
        archive = self.cache / f"debian-{suite}.tar"
        if not archive.exists():
            print(f"making {archive}, which takes minutes", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=self.cache) as folder:
                subprocess.run(
                    ["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus", suite,
                     folder], check=True, stdout=subprocess.DEVNULL)
                # A temporary folder is closed to others, and a root is not: dbus would not start.
                os.chmod(folder, 0o755)
                subprocess.run(["tar", "-C", folder, "-cf", f"{archive}.part", "."], check=True)
            os.rename(f"{archive}.part", archive)
        subprocess.run(["tar", "-C", self.root, "-xpf", archive], check=True)
        # Nothing here outlives the run, so nothing has to reach the disk.
        (self.root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
        (self.root / "etc/apt/apt.conf.d/keep").write_text(
            'APT::Keep-Downloaded-Packages "true";\nAPT::Install-Recommends "false";\n')

    def boot(self):
        """Boots, and waits until it is up; seconds."""
        archives = self.cache / "archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe",
             f"--directory={self.root}", "--machine=segmentd-check",
             f"--bind={archives}:/var/cache/apt/archives", "--boot"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.end)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while time.monotonic() - began < 60:
            if self.process.poll() is not None:
                sys.exit(f"systemd-nspawn ended with {self.process.returncode}")
            found = children.read_text().split()
            self.leader = found[0] if found else None
            if self.leader and self.run("systemctl", "is-system-running").stdout.strip() in (
                    "running", "degraded"):
                return time.monotonic() - began
            time.sleep(0.2)
        sys.exit("the Debian does not come up")

    def run(self, *command, check=False, **more):
        """Runs a command inside."""
        environment = ["env", "-i", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
                       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        result = subprocess.run(["nsenter", "-t", self.leader, "-a", *environment, *command], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, **more)
        if check and result.returncode != 0:
            sys.exit(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}")
        return result

    def show(self, name, unit="segmentd.service"):
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def journal(self, cursor=None, unit="segmentd.service"):
        """Lines of the unit's journal, behind a cursor."""
        after = ["--after-cursor", cursor] if cursor else []
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, *after).stdout

    def cursor(self, unit="segmentd.service"):
        """Where the unit's journal ends.

        Of the same unit as what is read behind it: journalctl skips one line more where the entry at the
        cursor is not of the match.
        """
        shown = self.run("journalctl", "--no-pager", "-u", unit, "-n", "1", "--show-cursor").stdout
        return re.search(r"-- cursor: (.*)", shown)[1]

    def end(self):
        """Takes the power off."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def wait(seconds, is_done):
    """Seconds until something was so, None if it was not within so many."""
    began = time.monotonic()
    while not is_done():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.2)
    return time.monotonic() - began


def within(seconds):
    """Seconds as a figure.

    >>> within(1.25), within(None)
    ('1.2 s', 'never')
    """
    return "never" if seconds is None else f"{seconds:.1f} s"


def set_keys(text, values):
    r"""A configuration in which some keys say something else, named with their value where need be.

    >>> set_keys("kafka:\n  group: a   # b\n", {"group": "c"})
    'kafka:\n  group: c   # b\n'
    >>> set_keys("a:\n  x: 1\nb:\n  x: 2\n", {"x: 2": "3"})
    'a:\n  x: 1\nb:\n  x: 3\n'
    """
    for key, value in values.items():
        name, _, former = key.partition(": ")
        former = re.escape(former) or "\\S+"
        pattern = rf"(?m)^( *{re.escape(name)}: ){former}(?=\s)"
        text, count = re.subn(pattern, lambda found, value=value: found[1] + value, text)
        if count != 1:
            sys.exit(f"the configuration has {count} lines of {key}")
    return text


def foreign(path):
    """Whether a path is none of the package's.

    >>> foreign("/var/log/journal/x"), foreign("/var/lib/segmentd"), foreign("/usr/lib/x")
    (True, False, False)
    """
    return FOREIGN.match(path) is not None


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Check:
    """The steps, in their order."""

    def __init__(self, arguments, machine):
        self.arguments, self.machine, self.verdicts = arguments, machine, Verdicts()
        self.hold = self.verdicts.hold
        self.name = f"systemd-check-{int(time.time())}"
        self.admin = f"127.0.0.1:{free_port()}"
        self.customers = None

    def count(self, admin=None):
        """Customers of the daemon once it is running without lag, else None."""
        text = self.metrics(admin)
        lags = [int(float(value)) for value in re.findall(r"(?m)^segmentd_lag_records\{.*\} (\S+)", text)]
        ready = re.search(r"(?m)^segmentd_ready 1", text)
        found = re.search(r"(?m)^segmentd_customers (\d+)", text)
        return int(found[1]) if found and ready and lags and not any(lags) else None

    def metrics(self, admin=None, token=SECRET):
        """The metrics, empty while nobody answers, or not to us."""
        request = urllib.request.Request(f"http://{admin or self.admin}/metrics",
                                         headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError):
            return ""

    def wait_for_all(self, seconds=120):
        """Seconds until every customer is there and nothing is left to read."""
        return wait(seconds, lambda: self.count() == self.customers)

    def read(self, path):
        """Text of a file inside."""
        return (self.machine.root / path).read_text()

    def configure(self, text, path=CONFIGURATION):
        """Writes a configuration, as an editor would: the file stays the same."""
        with open(self.machine.root / path, "w", encoding="utf-8") as file:
            file.write(text)

    def feed(self, first, last, rate=0):
        """Sends a part of the shop's events; the process."""
        sender = subprocess.Popen(
            [sys.executable, SCRIPTS / "produce.py", "--bootstrap", self.arguments.bootstrap,
             "--topic", self.name, "--partitions", "4"] + (["--rate", str(rate)] if rate else []),
            stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

        def send():
            try:
                sender.stdin.writelines(self.events[first:last])
                sender.stdin.close()
            except BrokenPipeError:
                # Ended before everything was sent, which is meant.
                pass

        threading.Thread(target=send, daemon=True).start()
        return sender

    def install(self):
        """apt installs the package and what it depends on; nothing is started."""
        machine = self.machine
        shutil.copy(self.arguments.deb, machine.root / "root/segmentd.deb")
        machine.run("apt-get", "update", "-q", check=True)
        self.before = self.files()
        began = time.monotonic()
        machine.run("apt-get", "install", "-q", "-y", "/root/segmentd.deb", check=True)
        seconds = time.monotonic() - began
        version = machine.run("segmentd", "--version").stdout.strip()
        linked = machine.run("ldd", "/usr/bin/segmentd").stdout
        self.hold("installed with apt, without Swift", not re.search("swift|not found", linked),
                  f"{seconds:.1f} s, version {version}")
        enabled = machine.run("systemctl", "is-enabled", "segmentd").stdout.strip()
        self.hold("neither enabled nor started", (enabled, machine.show("ActiveState"))
                  == ("disabled", "inactive"), f"{enabled}, {machine.show('ActiveState')}")
        owners = machine.run("stat", "-c", "%U:%G %a", "/etc/segmentd", "/var/lib/segmentd").stdout
        self.hold("folders of its own user", owners.split("\n")[:2]
                  == ["root:segmentd 750", "segmentd:segmentd 700"], ", ".join(owners.split("\n")[:2]))
        units = ["segmentd.service", "segmentd@second.service"]
        verified = machine.run("systemd-analyze", "verify", *units)
        # A manual page cannot be looked up where man is not installed.
        said = [line for line in verified.stdout.split("\n") if line and "Command 'man" not in line]
        self.hold("systemd-analyze verify is clean", not said, "; ".join(said) or " ".join(units))
        for unit in units:
            shown = machine.run("systemd-analyze", "security", "--no-pager", unit).stdout
            exposure = float(re.search(r"Overall exposure level.*: ([0-9.]+)", shown)[1])
            self.hold(f"exposure of {unit} is at most 1.5", exposure <= 1.5, exposure)

    def start(self):
        """Start and ready, with a secret as a credential; all customers and a model."""
        machine = self.machine
        self.events = machine.run(
            "segmentd", "simulate", "--customers", str(self.arguments.customers),
            "--events", str(self.arguments.customers * 40), "--seed", "1", check=True,
        ).stdout.encode().splitlines(keepends=True)
        self.half = len(self.events) // 2
        self.feed(0, self.half).wait()
        text = set_keys(self.read(CONFIGURATION), {
            "bootstrap.servers": self.arguments.bootstrap, "group": self.name,
            "events: [customer-events]": f"[{self.name}]",
            "segments: customer-segments": f"{self.name}-segments",
            "listen: 127.0.0.1:9464": self.admin})
        text, count = re.subn(r"(?m)^  # token: .*$", "  token: {credential: admin.token}", text)
        if count != 1:
            sys.exit("the configuration does not show where admin.token goes")
        self.configure(text)
        for name in ("admin.token", "kafka.password"):
            with open(os.open(machine.root / "etc/segmentd" / name, os.O_CREAT | os.O_WRONLY, 0o600),
                      "w", encoding="utf-8") as file:
                file.write(SECRET)
        drop_in = machine.root / "etc/systemd/system/segmentd.service.d"
        drop_in.mkdir(parents=True)
        example = self.read("usr/share/doc/segmentd/examples/credentials.conf")
        (drop_in / "credentials.conf").write_text(
            example.replace("#LoadCredential=admin.token", "LoadCredential=admin.token"))
        machine.run("systemctl", "daemon-reload", check=True)
        began = time.monotonic()
        started = machine.run("systemctl", "enable", "--now", "segmentd", timeout=120)
        seconds = time.monotonic() - began
        if not self.hold("start: ready", started.returncode == 0
                         and machine.show("ActiveState") == "active", f"{seconds:.1f} s"):
            sys.exit(f"{started.stdout}\n{machine.journal()}")
        self.hold("a user of its own has the secret that only root can read",
                  self.user() == "segmentd" and bool(self.metrics()) and not self.metrics(token=""),
                  f"{self.user()}, who asks without the token is refused")
        wait(120, lambda: self.count() is not None and self.model() > 0)
        self.customers = self.count()
        self.hold("everything read, a model", self.model() > 0 and bool(self.customers),
                  f"{self.customers} customers, model {self.model()}")

    def user(self):
        """Who the daemon runs as."""
        number = re.search(r"(?m)^Uid:\s+(\d+)", self.machine.run(
            "cat", f"/proc/{self.machine.show('MainPID')}/status").stdout)[1]
        return self.machine.run("getent", "passwd", number).stdout.split(":")[0]

    def model(self):
        """Version of the model in force, 0 while there is none."""
        found = re.search(r"(?m)^segmentd_model_version(?:\{.*\})? (\d+)", self.metrics())
        return int(found[1]) if found else 0

    def status_line(self):
        """`systemctl status` tells a person how it stands."""
        wait(10, lambda: "lag 0" in self.machine.show("StatusText"))
        shown = self.machine.run("systemctl", "status", "--no-pager", "segmentd").stdout
        line = re.search(r"Status: (.*)", shown)
        self.hold("systemctl status shows the status line", bool(line) and "running" in line[1],
                  line[1] if line else "none")

    def sandbox(self):
        """The sandbox is there, and forbids nothing that somebody then complains of."""
        pid = self.machine.show("MainPID")
        status = self.machine.run("cat", f"/proc/{pid}/status").stdout
        found = {name: re.search(rf"(?m)^{name}:\s+(\S+)", status)[1]
                 for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
        wrote = [path for path in ("/usr", "/etc", "/var/lib", "/run", "/run/lock") if self.machine.run(
            "nsenter", "-t", pid, "-m", "touch", f"{path}/of-the-check").returncode == 0]
        namespaces = [self.machine.run("readlink", f"/proc/{number}/ns/user").stdout
                      for number in (1, pid)]
        self.hold("the sandbox is in force", not wrote and namespaces[0] != namespaces[1]
                  and int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
                  and (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2"),
                  "no capability, system calls filtered, users of its own, nothing else writable"
                  if not wrote else f"can write to {', '.join(wrote)}")
        said = re.findall(r"(?m)^(?!<?[0-9]?>?[A-Z]+ ).*(?:[Ff]ailed|denied|permitted).*", self.machine.run(
            "journalctl", "--no-pager", "-o", "cat", "_COMM=segmentd").stdout)
        self.hold("nothing complains of the sandbox", not said, said[0] if said else "")

    def reload(self):
        """SIGHUP is acknowledged by the same process; a broken file is refused before."""
        machine = self.machine
        before, pid, cursor = self.read(CONFIGURATION), machine.show("MainPID"), machine.cursor()
        self.configure(set_keys(before, {"high: 0.7": "0.71"}))
        # systemd then logs what it is notified of.
        machine.run("systemd-analyze", "log-level", "debug", check=True)
        began = time.monotonic()
        reloaded = machine.run("systemctl", "reload", "segmentd", timeout=60)
        seconds = time.monotonic() - began
        wait(5, lambda: "RELOADING=1" in machine.journal(cursor))
        wait(5, lambda: re.search("RELOADING=1(?s:.*)READY=1", machine.journal(cursor)))
        machine.run("systemd-analyze", "log-level", "info", check=True)
        notified = re.search("RELOADING=1.*MONOTONIC_USEC=[0-9]+(?s:.*)READY=1", machine.journal(cursor))
        same = machine.show("MainPID") == pid and machine.show("ActiveState") == "active"
        self.hold("reload: acknowledged by the same process", reloaded.returncode == 0 and same
                  and notified is not None, f"{seconds:.1f} s, " + (
                      "RELOADING=1 and READY=1" if notified else "systemd was told nothing"))

        def named():
            return [line for line in machine.journal(cursor).split("\n") if "churn.raise.high" in line]

        # The journal may take systemd's words before those of the daemon.
        wait(5, named)
        self.hold("... and the journal says what it took over", bool(named()), (named() or ["no"])[0])
        if not same:
            wait(60, lambda: machine.show("ActiveState") == "active")
            pid = machine.show("MainPID")
        self.configure(before + "\nno_such_key: 1\n")
        reloaded = machine.run("systemctl", "reload", "segmentd", timeout=60)
        same = machine.show("MainPID") == pid and machine.show("ActiveState") == "active"
        self.hold("reload of a broken configuration: fails, and the daemon goes on",
                  reloaded.returncode != 0 and same and self.count() is not None,
                  f"status {reloaded.returncode}")
        self.configure(before)

    def stop(self):
        """A stop in the middle of a load drains within its limit, and nothing is lost."""
        machine = self.machine
        feeding = self.feed(self.half, len(self.events), rate=2000)
        time.sleep(3)
        began = time.monotonic()
        machine.run("systemctl", "stop", "segmentd", check=True, timeout=90)
        seconds = time.monotonic() - began
        result, status = machine.show("Result"), machine.show("ExecMainStatus")
        self.hold("stop under load: drained within 30 s", seconds < 30 and (result, status)
                  == ("success", "0"), f"{seconds:.1f} s, status {status}")
        feeding.wait()
        self.begin("start after the stop")
        wait(120, lambda: self.count() is not None)
        self.customers = self.count()
        self.hold("the rest is read after the start", self.customers is not None,
                  f"{self.customers} customers")

    def begin(self, what):
        """Starts the service; a verdict with its seconds."""
        began = time.monotonic()
        started = self.machine.run("systemctl", "start", "segmentd", timeout=120)
        return self.hold(what, started.returncode == 0, f"ready after {time.monotonic() - began:.1f} s")

    def watchdog(self):
        """A process that stands still is ended and started again."""
        machine = self.machine
        pid, cursor = machine.show("MainPID"), machine.cursor()
        restarts = int(machine.show("NRestarts"))
        machine.run("sh", "-c", f"kill -STOP {pid}", check=True)
        seconds = wait(120, lambda: machine.show("MainPID") not in (pid, "0")
                       and machine.show("ActiveState") == "active")
        said = machine.journal(cursor)
        tripped = "Watchdog timeout" in said and int(machine.show("NRestarts")) == restarts + 1
        self.hold("SIGSTOP trips the watchdog, and it is ready again", seconds is not None and tripped,
                  f"after {within(seconds)}, {int(machine.show('NRestarts')) - restarts} restart")
        restored = self.wait_for_all()
        self.hold("the restart has every customer", restored is not None, f"{self.count()} customers")

    def bad_configuration(self):
        """What no restart mends is not tried again."""
        machine = self.machine
        before, cursor = self.read(CONFIGURATION), machine.cursor()
        self.configure(before + "\nno_such_key: 1\n")
        machine.run("systemctl", "restart", "segmentd", timeout=60)
        time.sleep(15)
        starts = machine.journal(cursor).count("no_such_key")
        state, status = machine.show("ActiveState"), machine.show("ExecMainStatus")
        self.hold("a bad configuration is not tried again", state == "failed" and starts == 1,
                  f"{state} after {starts} start, status {status}")
        said = [line for line in machine.journal(cursor).split("\n") if "no_such_key" in line]
        self.hold("... and the journal names it", status == "2" and bool(said), said[0] if said else "")
        self.configure(before)
        self.begin("start once it is mended")

    def instance(self):
        """A second daemon, with a configuration and a folder of its own."""
        machine = self.machine
        self.second = f"127.0.0.1:{free_port()}"
        text = self.read(CONFIGURATION).replace(self.admin, self.second)
        text = text.replace(f"  group: {self.name}", f"  group: {self.name}-2")
        text = text.replace(f"{self.name}-segments", f"{self.name}-2-segments")
        text = re.sub(r"  token: .*\n", "", text)
        self.configure(text, "etc/segmentd/second.yaml")
        began = time.monotonic()
        started = machine.run("systemctl", "enable", "--now", "segmentd@second", timeout=120)
        seconds = time.monotonic() - began
        found = wait(60, lambda: self.count(self.second) == self.customers)
        folder = machine.run("ls", "/var/lib/segmentd/second").stdout.strip()
        self.hold("an instance beside it", started.returncode == 0 and found is not None,
                  f"ready after {seconds:.1f} s, {self.count(self.second)} customers, state in "
                  f"/var/lib/segmentd/second: {folder or 'none yet'}")

    def upgrade(self):
        """A newer package: the daemons are restarted, and everything is as it was."""
        machine = self.machine
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder) / "tree"
            subprocess.run(["dpkg-deb", "-R", self.arguments.deb, tree], check=True)
            control = tree / "DEBIAN/control"
            control.write_text(re.sub(r"(?m)^(Version: .*)", r"\1+upgrade", control.read_text()))
            subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree,
                            machine.root / "root/newer.deb"], check=True, stdout=subprocess.DEVNULL)
        before = self.read(CONFIGURATION)
        units = ("segmentd.service", "segmentd@second.service")
        pids = [machine.show("MainPID", unit) for unit in units]
        machine.run("touch", "/var/lib/segmentd/of-before", check=True)
        began = time.monotonic()
        upgraded = machine.run("apt-get", "install", "-q", "-y", "/root/newer.deb")
        seconds = time.monotonic() - began
        ready = wait(60, lambda: all(
            machine.show("MainPID", unit) not in (pid, "0")
            and machine.show("ActiveState", unit) == "active"
            for unit, pid in zip(units, pids)))
        version = machine.run("dpkg-query", "-W", "-f", "${Version}", "segmentd").stdout
        self.hold("upgrade: both daemons restarted", upgraded.returncode == 0 and ready is not None,
                  f"to {version} in {seconds:.1f} s, ready {within(ready)} later")
        if upgraded.returncode != 0:
            print(upgraded.stdout)
        restored = self.wait_for_all()
        # The instance has read everything in one go but for this restart.
        token = ["--admin-token", "/etc/segmentd/admin.token"]
        tables = [set(machine.run("segmentd", "export", "--admin", admin, *token).stdout.split("\n"))
                  for admin in (self.admin, self.second)]
        self.hold("every row as in the instance, which was never stopped before", tables[0] == tables[1]
                  and len(tables[0]) > self.customers, f"{len(tables[0] ^ tables[1]) // 2} rows differ")
        kept = (machine.root / "var/lib/segmentd/of-before").exists()
        enabled = machine.run("systemctl", "is-enabled", *units).stdout.split()
        self.hold("state, configuration and being enabled are kept", restored is not None and kept
                  and self.read(CONFIGURATION) == before and enabled == ["enabled", "enabled"],
                  f"{self.count()} customers")

    def remove(self):
        """Removing stops and keeps; purging leaves nothing."""
        machine = self.machine
        began = time.monotonic()
        removed = machine.run("apt-get", "remove", "-q", "-y", "segmentd")
        seconds = time.monotonic() - began
        running = machine.run("sh", "-c", "grep -l ^segmentd$ /proc/[0-9]*/comm 2> /dev/null | wc -l")
        kept = all((machine.root / path).exists() for path in (CONFIGURATION, "var/lib/segmentd"))
        self.hold("remove: both stopped, configuration and state kept", removed.returncode == 0
                  and running.stdout.strip() == "0" and kept, f"{seconds:.1f} s")
        # The drop-in is the administrator's own.
        shutil.rmtree(machine.root / "etc/systemd/system/segmentd.service.d")
        purged = machine.run("apt-get", "purge", "-q", "-y", "segmentd")
        machine.run("apt-get", "autoremove", "-q", "-y", "--purge")
        left = sorted(self.files() - self.before)
        users = machine.run("sh", "-c", "getent passwd segmentd; getent group segmentd").stdout.strip()
        self.hold("purge leaves nothing", purged.returncode == 0 and not left and not users,
                  ", ".join(left + users.split("\n"))[:400] if left or users else "no file, no user")
        failed = machine.run("systemctl", "--failed", "--no-legend", "--plain").stdout.strip()
        self.hold("the secret is in no journal", SECRET not in machine.run(
            "journalctl", "--no-pager", "-o", "cat", "-a").stdout)
        self.hold("no unit has failed", not failed, failed)

    def files(self):
        """Paths inside that are not those of apt, dpkg, journal and kernel."""
        found = self.machine.run("find", "/", "-xdev", "-print").stdout.split("\n")
        return {path for path in found if path and not foreign(path)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deb", required=True, type=pathlib.Path)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="a genuine Kafka")
    parser.add_argument("--suite", default="bookworm", help="the Debian (default: %(default)s)")
    parser.add_argument("--cache", default=".build/systemd-check", type=pathlib.Path,
                        help="where the Debian is kept (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--keep", action="store_true", help="leave the Debian's folder, and its path")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("systemd-nspawn needs root")
    began = time.monotonic()
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    root = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=cache))
    root.chmod(0o755)
    machine = Machine(root, cache)
    try:
        machine.make(arguments.suite)
        seconds = machine.boot()
        version = machine.run("systemctl", "--version").stdout.split("\n")[0]
        print(f"booted in {seconds:.1f} s: {version}")
        check = Check(arguments, machine)
        check.install()
        check.start()
        check.status_line()
        check.sandbox()
        check.reload()
        check.stop()
        check.watchdog()
        check.bad_configuration()
        check.instance()
        check.upgrade()
        check.remove()
    finally:
        machine.end()
        if arguments.keep:
            print(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{check.verdicts.failures} failures, {time.monotonic() - began:.0f} s in all")
    return 1 if check.verdicts.failures else 0


if __name__ == "__main__":
    doctest.testmod()
    sys.exit(main())
