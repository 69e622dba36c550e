# Files: a walk over a tree, temporary files, a mapping, renames, times, a database in the process.
import glob, hashlib, mmap, os, shutil, sqlite3, stat, tempfile

total = 0
for folder, folders, files in os.walk("in/tree"):
    folders.sort()
    for name in sorted(files):
        path = os.path.join(folder, name)
        info = os.lstat(path)
        total += info.st_size
        if stat.S_ISREG(info.st_mode) and name.endswith("7.txt"):
            with open(path, "rb") as f:
                print(path, hashlib.sha1(f.read()).hexdigest())
print("bytes", total, "found", len(glob.glob("in/tree/d00?/*.txt")))

with tempfile.NamedTemporaryFile(dir=".", delete=False) as f:
    f.write(b"temporary\n" * 1000)
os.replace(f.name, "kept")
with tempfile.TemporaryDirectory(dir=".") as d:
    shutil.copytree("in/tree/d001", os.path.join(d, "copy"))
    shutil.move(os.path.join(d, "copy", "f001.txt"), "moved")
    print("copied", len(os.listdir(os.path.join(d, "copy"))))
with open("mapped", "wb+") as f:
    f.write(bytes(range(256)) * 64)
    f.flush()
    with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        print("mapping", len(m), m.find(b"\xff\x00"), m[1000])
with open("sparse", "wb") as f:
    f.seek(1 << 20)
    f.write(b"end")
os.utime("mapped", (1e9, 1.5e9))
print("time", os.stat("mapped").st_mtime)
os.makedirs("a/b/c", mode=0o750)
os.symlink("../kept", "a/link")
print("link", os.path.realpath("a/link").endswith("/kept"))
try:
    open("none/none")
except FileNotFoundError as e:
    print("error", e.errno)
db = sqlite3.connect("in-process.db")
db.execute("create table t(a, b)")
db.executemany("insert into t values(?, ?)", ((i, str(i * i)) for i in range(5000)))
db.commit()
print("rows", db.execute("select count(*), sum(a) from t").fetchone())
db.close()
