"""A machine of the lab as an IPMI 2.0 BMC: `ipmi_bmc.py PORT LAB_URL MACHINE`, with PyPI's pyghmi."""
import json
import sys
import urllib.request

from pyghmi.ipmi.bmc import Bmc


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        raw = answer.read()
    return json.loads(raw) if raw else None


class Machine(Bmc):
    def __init__(self, port, lab, name):
        super().__init__({"admin": "hunter2-hunter2"}, port=port, address="127.0.0.1")
        self.lab, self.name = lab, name

    def get_power_state(self):
        return "on" if ask(f"{self.lab}/machines/{self.name}")["power"].lower() == "on" else "off"

    def power_off(self):
        ask(f"{self.lab}/power", {"machine": self.name, "do": "off"})

    def power_on(self):
        ask(f"{self.lab}/power", {"machine": self.name, "do": "on"})


if __name__ == "__main__":
    machine = Machine(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    print("ready", flush=True)
    machine.listen()
