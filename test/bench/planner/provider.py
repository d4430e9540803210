"""A local HTTP server that costs what it is told to: for planner benchmarks.

    python3 provider.py PORT

POST /embed with {"provider": name, "count": b} takes (batch + row * b) * noise
seconds, on at most `slots` requests at once (the others queue), and answers
413 for more than max_batch items and 429 with more than max_waiting requests.
POST /configure with {"provider": name, "batch": .., "row": .., ...} sets that.
No request is ever larger than a line of JSON. Listens on 127.0.0.1 only.
"""
import asyncio
import json
import random
import sys

DEFAULTS = dict(batch=0.008, row=0.00006, jitter=0.1, slots=8, max_batch=4096,
                max_waiting=64)


class Provider:
    def __init__(self):
        self.__dict__.update(DEFAULTS)
        self.running = asyncio.Semaphore(self.slots)
        self.waiting = 0
        self.random = random.Random(1)

    def configure(self, settings):
        self.__dict__.update({k: v for k, v in settings.items() if k in DEFAULTS})
        if 'slots' in settings:
            self.running = asyncio.Semaphore(self.slots)

    async def embed(self, count):
        if count > self.max_batch:
            return 413
        if self.waiting >= self.max_waiting:
            return 429
        self.waiting += 1
        try:
            async with self.running:
                noise = self.random.lognormvariate(0, self.jitter)
                await asyncio.sleep((self.batch + self.row * count) * noise)
        finally:
            self.waiting -= 1
        return 200


PROVIDERS = {}


async def serve(reader, writer):
    try:
        while True:
            line = await reader.readline()
            if not line:
                break
            path = line.split()[1].decode()
            length = 0
            while (header := await reader.readline()) not in (b'\r\n', b''):
                name, _, value = header.partition(b':')
                if name.lower() == b'content-length':
                    length = min(int(value), 65536)
            body = json.loads(await reader.readexactly(length) or b'{}')
            provider = PROVIDERS.setdefault(body.get('provider', ''), Provider())
            if path == '/configure':
                provider.configure(body)
                status = 200
            else:
                status = await provider.embed(int(body['count']))
            writer.write(b'HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n' % status)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, '127.0.0.1', port)
    async with server:
        await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(main(int(sys.argv[1])))
