"""A Keystone of its own on loopback: SQLite, Fernet tokens, one admin, and Ironic in its catalogue.

    keystone_lab.py FOLDER PORT     serves until it is ended (run by `Keystone` below, with the rig's Python)
"""
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

ADMIN, PASSWORD, OPERATOR = "admin", "keystone-secret", "operator-secret"


def serve(folder, port):
    """Keystone's public application; one line for each request, without what it carries."""
    from cheroot import wsgi
    from keystone.server.wsgi import initialize_public_application
    application = initialize_public_application()
    log = open(os.path.join(folder, "keystone-requests.log"), "a", buffering=1)

    def logged(environ, start_response):
        def started(status, headers, *rest):
            log.write(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {status.split()[0]}\n")
            return start_response(status, headers, *rest)
        return application(environ, started)

    wsgi.Server(("127.0.0.1", port), logged, numthreads=4).start()


class Keystone:
    def __init__(self, folder, python, port, lives=3600):
        self.folder, self.port, self.process = pathlib.Path(folder), port, None
        self.url = f"http://127.0.0.1:{port}"
        self.python, self.tools = python, pathlib.Path(python).parent
        self.folder.mkdir(parents=True)
        self.conf = self.folder / "keystone.conf"
        self.lives(lives)

    def lives(self, seconds):
        """How long tokens live. Read when it is started."""
        keys = {name: self.folder / name for name in ("fernet", "credential", "receipt")}
        self.conf.write_text(f"""[DEFAULT]
log_file = {self.folder}/keystone.log
[database]
connection = sqlite:///{self.folder}/keystone.sqlite
[token]
expiration = {seconds}
[fernet_tokens]
key_repository = {keys['fernet']}
[fernet_receipts]
key_repository = {keys['receipt']}
[credential]
key_repository = {keys['credential']}
[identity]
password_hash_rounds = 4
[cache]
enabled = false
""")

    def manage(self, *words):
        done = subprocess.run([self.tools / "keystone-manage", "--config-file", self.conf, *words], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"keystone-manage {words[0]}: {done.stdout[-800:]}{done.stderr[-800:]}")

    def make(self):
        self.manage("db_sync")
        owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
        self.manage("fernet_setup", *owner)
        self.manage("credential_setup", *owner)
        self.manage("bootstrap", "--bootstrap-username", ADMIN, "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "one",
                    "--bootstrap-public-url", self.url + "/v3", "--bootstrap-internal-url", self.url + "/v3")

    def start(self):
        env = os.environ | {"OS_KEYSTONE_CONFIG_FILES": str(self.conf), "OS_KEYSTONE_CONFIG_DIR": str(self.folder)}
        out = open(self.folder / "keystone.out", "ab")
        self.process = subprocess.Popen([self.python, __file__, str(self.folder), str(self.port)], env=env, stdout=out, stderr=out,
                                        stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(self.url + "/v3", timeout=5).read()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        raise RuntimeError("Keystone does not come up: " + (self.folder / "keystone.out").read_text()[-1500:])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def token(self, user=ADMIN, password=PASSWORD):
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        who = {"name": user, "domain": {"id": "default"}, "password": password}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}
        request = urllib.request.Request(self.url + "/v3/auth/tokens", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers["X-Subject-Token"], json.load(answer)["token"]

    def call(self, method, path, body=None, token=None):
        headers = {"Content-Type": "application/json", "X-Auth-Token": token or self.token()[0]}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/v3" + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def operator(self, ironic):
        """A user of its own, Ironic in the catalogue, an application credential: (user, project, credential id, its secret)."""
        _, admin = self.token()
        project = admin["project"]["id"]
        user = self.call("POST", "/users", {"user": {"name": "operator", "password": OPERATOR, "domain_id": "default"}})["user"]["id"]
        roles = {r["name"]: r["id"] for r in self.call("GET", "/roles")["roles"]}
        self.call("PUT", f"/projects/{project}/users/{user}/roles/{roles['admin']}")
        self.call("PUT", f"/system/users/{user}/roles/{roles['admin']}")
        service = self.call("POST", "/services", {"service": {"type": "baremetal", "name": "ironic"}})["service"]["id"]
        for region, interface, url in (("one", "public", ironic), ("one", "internal", "http://127.0.0.1:9"), ("two", "public", "http://127.0.0.1:9")):
            if region != "one":
                self.call("POST", "/regions", {"region": {"id": region}})
            self.call("POST", "/endpoints", {"endpoint": {"service_id": service, "region_id": region, "interface": interface, "url": url}})
        own = self.token("operator", OPERATOR)[0]
        made = self.call("POST", f"/users/{user}/application_credentials", {"application_credential": {"name": "coldswap"}}, own)
        made = made["application_credential"]
        return user, project, made["id"], made["secret"]

    def revoke(self, user):
        """Every token of this user ends now; new ones can be had."""
        admin = self.token()[0]
        for enabled in (False, True):
            self.call("PATCH", f"/users/{user}", {"user": {"enabled": enabled}}, admin)

    def logins(self):
        path = self.folder / "keystone-requests.log"
        return path.read_text().count("POST /v3/auth/tokens 201") if path.exists() else 0


if __name__ == "__main__":
    given, sys.argv[1:] = sys.argv[1:], []    # Keystone reads what is left of them as its own
    serve(given[0], int(given[1]))
