# What programs do with data: digests, JSON, regular expressions, numbers, compression, dates, deep recursion, garbage.
import bz2, csv, datetime, decimal, gc, hashlib, io, itertools, json, lzma, random, re, statistics, struct, zlib

random.seed(20200203)
rows = [{"id": i, "name": "".join(random.choices("abcdefgh", k=12)), "value": random.gauss(0, 1)} for i in range(4000)]
text = json.dumps(rows, indent=1, sort_keys=True)
assert json.loads(text) == rows
print("json", len(text), hashlib.sha256(text.encode()).hexdigest())
for name in ("md5", "sha1", "sha512", "blake2b", "sha3_256"):
    print(name, hashlib.new(name, text.encode()).hexdigest())
print("pbkdf2", hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 5000).hex())
print("re", len(re.findall(r'"name": "(?=[a-d])\w+', text)), re.sub(r"\d+", "#", text)[:60])
for name, module in (("zlib", zlib), ("bz2", bz2), ("lzma", lzma)):
    packed = module.compress(text.encode())
    assert module.decompress(packed) == text.encode()
    print(name, len(packed), zlib.crc32(packed))
decimal.getcontext().prec = 200
print("decimal", decimal.Decimal(2).sqrt())
print("int", pow(3, 5000) % (1 << 521))
print("statistics", statistics.fmean(r["value"] for r in rows), statistics.median(r["value"] for r in rows))
print("struct", struct.pack("<IHd", 1, 2, 3.5).hex())
out = io.StringIO()
csv.writer(out).writerows([r.values() for r in rows[:50]])
print("csv", zlib.crc32(out.getvalue().encode()))
print("date", datetime.date(2020, 2, 3) + datetime.timedelta(days=1000), datetime.datetime.now().year >= 2020)
print("permutations", sum(1 for _ in itertools.permutations(range(8))))


class Node:
    def __init__(self):
        self.me = self


nodes = [Node() for _ in range(20000)]
del nodes
print("collected", gc.collect() >= 20000)


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


print("deep", deep(900))
