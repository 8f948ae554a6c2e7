#!/usr/bin/env python3
"""The bare job by hand, as a good script would do it: asyncio, one kept connection a BMC, no library. For each pair read
the source, GracefulShutdown, poll until Off, set the spare's boot override, On, poll until On. No fence, no records, no
journal, no way back. Standard input: JSON `{"pairs": [[address, address], ..], "poll": seconds}`; standard output: JSON."""
import asyncio
import json
import resource
import sys
import time
import urllib.parse

SYSTEM = "/redfish/v1/Systems/1"


class Bmc:
    def __init__(self, address):
        parts = urllib.parse.urlsplit(address)
        self.host, self.port, self.prefix = parts.hostname, parts.port or 80, parts.path.rstrip("/")
        self.streams = None

    async def ask(self, method, path, body=None):
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self.streams
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {self.prefix}{path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept: application/json\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        writer.write(head.encode() + b"\r\n" + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in answer[1:])}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        status = int(answer[0].split()[1])
        if status >= 400:
            raise OSError(f"{method} {path}: {status}")
        return json.loads(raw) if raw else None

    async def until(self, power, poll):
        while (await self.ask("GET", SYSTEM)).get("PowerState") != power:
            await asyncio.sleep(poll)

    def close(self):
        if self.streams:
            self.streams[1].close()


async def switch(source, spare, poll):
    source, spare = Bmc(source), Bmc(spare)
    reset = SYSTEM + "/Actions/ComputerSystem.Reset"
    try:
        await source.ask("GET", SYSTEM)
        await source.ask("POST", reset, {"ResetType": "GracefulShutdown"})
        await source.until("Off", poll)
        boot = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}
        await spare.ask("PATCH", SYSTEM, {"Boot": boot})
        await spare.ask("POST", reset, {"ResetType": "On"})
        await spare.until("On", poll)
    finally:
        source.close()
        spare.close()


async def main():
    work = json.load(sys.stdin)
    began = time.monotonic()
    jobs = (asyncio.wait_for(switch(a, b, work["poll"]), 60) for a, b in work["pairs"])
    results = await asyncio.gather(*jobs, return_exceptions=True)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lost = sum(isinstance(r, BaseException) for r in results)
    print(json.dumps({"wall": time.monotonic() - began, "cpu": usage.ru_utime + usage.ru_stime, "rss_kib": usage.ru_maxrss, "lost": lost}))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(main())
