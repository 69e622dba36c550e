package hosts

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/filetree"
	"github.com/monmod/monmod/test/internal/proc"
)

// changes makes every kind of change that a program makes by name or by descriptor.
const changes = `
import os
os.mkdir("d"); os.mkdir("d/e"); os.mkdir("gone")
open("d/a", "w").write("alpha\n" * 1000)
open("d/b", "w").write("beta\n")
os.rename("d/a", "d/e/a"); os.link("d/e/a", "hard"); os.symlink("d/b", "soft"); os.mkfifo("fifo")
os.chmod("d/b", 0o600); os.chown("d/b", 12, 34); os.truncate("d/b", 3); os.utime("d/b", (1, 2)); os.utime("d/e/a")
os.setxattr("d/b", "user.x", b"value"); os.rmdir("gone")
os.symlink("nowhere", "unlinked"); os.unlink("unlinked")
f = os.open("d/e", os.O_RDONLY | os.O_DIRECTORY)
os.mkdir("sub", dir_fd=f); os.rename("a", "sub/c", src_dir_fd=f, dst_dir_fd=f)
os.fchmod(f, 0o750); os.utime(f, (5, 6)); os.fsync(f); os.setxattr(f, "user.y", b"on a folder")
os.chdir("d"); open("relative", "w").write("r"); os.chdir(f); open("../x", "a").write("appended")
with open("../x", "r+") as g:
    g.seek(2); g.truncate(); os.fchmod(g.fileno(), 0o640); os.utime(g.fileno(), (3, 4))
for wrong in (lambda: os.mkdir("sub"), lambda: os.unlink("none"), lambda: os.rmdir(".."), lambda: os.rename("none", "new")):
    try: wrong(); print("no error")
    except OSError as e: print(e.errno)
print(sorted(os.listdir("..")), os.stat("../b").st_mode, os.getxattr("../b", "user.x"))
`

// copies moves data between files of every kind by calls that need no buffer, as far as those are offered.
const copies = `
import os, shutil
shutil.copyfile("text", "t1"); shutil.copytree("tree", "tree2", symlinks=True)
a, b = os.open("text", os.O_RDONLY), os.open("t2", os.O_RDWR | os.O_CREAT)
print(os.copy_file_range(a, b, 1000), os.sendfile(b, a, None, 1000), os.lseek(a, 0, 1))
r, w = os.pipe()
print(os.splice(a, w, 500), os.lseek(a, 0, 1), os.splice(a, w, 500, offset_src=7), os.read(r, 1000)[:10], os.read(a, 5))
os.write(w, b"piped")
try: os.splice(r, b, 5)
except OSError: os.write(b, os.read(r, 5))
`

// sockets makes files of sockets and of names that are given late, and does to them what servers do.
const sockets = `
import os, socket
def bound(path, mode=None):
    s = socket.socket(socket.AF_UNIX)
    if mode is not None: os.fchmod(s.fileno(), mode)
    s.bind(path)
    return s
os.mkdir("d"); old = os.umask(0o027)
a, b, c, d = bound("d/a"), bound("d/b", 0o700), bound("d/c.tmp"), bound("d/gone")
os.umask(old); e = bound(os.path.abspath("d/e"))
os.chmod("d/a", 0o666); os.chown("d/a", 12, 34); os.rename("d/c.tmp", "d/c"); os.link("d/b", "d/b2"); os.unlink("d/gone")
open("d/text", "w").close(); os.rename("d/text", "d/e"); os.chdir("d"); os.unlink("e")
try: bound("a"); print("no error")
except OSError as e: print(e.errno)
bound("\0abstract"); c.listen(); x = socket.socket(socket.AF_UNIX); x.connect("c"); x.send(b"hello"); print(c.accept()[0].recv(9))
f = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600); os.write(f, b"late"); here = os.open(".", os.O_RDONLY)
os.link(f"/proc/self/fd/{f}", "named", dst_dir_fd=here)
print(open("named").read()); os.symlink("named", "l1"); os.link("l1", "l2"); os.link("l1", "l3", src_dir_fd=here); os.chmod("l3", 0o640)
print(sorted(os.listdir(".")), os.stat("a").st_mode)
`

// mapped reads a file through a mapping, and would write it so too, which is refused where nobody could compare it.
const mapped = `
import mmap
f = open("big", "r+b")
print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[7:9])
try: m = mmap.mmap(f.fileno(), 0); m[0:3] = b"abc"; m.flush()
except PermissionError: f.write(b"abc")
`

const database = `PRAGMA journal_mode=%s; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, 'row ' || i FROM n;
UPDATE t SET b = 'changed' WHERE a % 7 = 0; SELECT count(*), sum(length(b)) FROM t;`

// programs are run on two hosts; both must end with 0, the leader with the output of a native run, and the files of both
// hosts must be those of a native run.
var programs = []struct {
	name  string
	first int // which host is started first
	argv  []string
}{
	{"cat", 1, []string{"cat", "text", "big"}},
	{"awk", 1, []string{"awk", "{ n += $1 } END { print n }", "text"}}, // a link to a link by a full path
	{"host", 2, []string{"/usr/bin/python3", "-c", "import socket; print(open('/etc/hosts').read(), socket.gethostname())"}},
	{"changes", 1, []string{"/usr/bin/python3", "-c", changes}},
	{"tar-create", 2, []string{"tar", "cf", "out.tar", "tree"}},
	{"tar-extract", 1, []string{"tar", "xf", "in.tar"}},
	{"sqlite-delete", 2, []string{"sqlite3", "db", strings.Replace(database, "%s", "delete", 1)}},
	{"sqlite-wal", 1, []string{"sqlite3", "db", strings.Replace(database, "%s", "wal", 1)}},
	{"sort", 2, []string{"sort", "--parallel=1", "-S", "64k", "-T", ".", "-o", "sorted", "text"}},
	{"sed -i", 1, []string{"sed", "-i", "s/a/b/g", "text"}},
	{"sockets", 2, []string{"/usr/bin/python3", "-c", sockets}},
	{"mmap", 1, []string{"/usr/bin/python3", "-c", mapped}},
	{"copies", 2, []string{"/usr/bin/python3", "-c", copies}},
	{"ls", 1, []string{"ls", "-laR", "--time-style=+", "tree"}},
	// More than rings hold, in batches that reach over their ends.
	{"busy stream", 1, []string{"/usr/bin/python3", "-c", "import os\nfor i in range(8000): os.getppid(); os.urandom(4096)"}},
	{"empty and absent", 2, []string{"/usr/bin/python3", "-c", "import os; print(repr(open('empty').read()), os.path.exists('absent'))"}},
}

func TestPrograms(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp)
	tree := filepath.Join(w.base, "tree")
	w.must(filetree.Generate(tree, 3, 5))
	fill := func(h *host) {
		w.must(os.RemoveAll(h.files))
		w.mkdir(h.files)
		w.must(os.Chmod(h.files, 0o755))
		w.file(h, "text", string(filetree.Text(1, 300<<10)))
		w.file(h, "big", string(filetree.Bytes(2, 3<<20)))
		w.file(h, "empty", "")
		w.native("cp", "-a", tree, h.files)
		w.native("tar", "cf", filepath.Join(h.files, "in.tar"), "-C", w.base, "--transform=s/^tree/extracted/", "tree")
	}
	for _, c := range programs {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			first := w.hosts[0]
			fill(first)
			native, err := proc.Run(w.spec(first, c.argv...))
			w.must(err)
			if native.Status != 0 {
				t.Fatal(native)
			}
			files := describe(t, first)

			w.each(fill)
			var ps [2]*proc.Process
			ps[c.first-1] = w.start(w.hosts[c.first-1], c.argv...)
			ps[2-c.first] = w.start(w.hosts[2-c.first], c.argv...)
			for i, p := range ps {
				r := p.Wait()
				want(t, []string{"leader", "follower"}[i], r, 0)
				if i == 0 && !bytes.Equal(r.Stdout, native.Stdout) || i == 1 && len(r.Stdout) > 0 {
					t.Errorf("the output of variant %d is not that of a native run, %q: %s", i+1, native.Stdout, r)
				}
				if got := describe(t, w.hosts[i]); !slices.Equal(got, files) {
					t.Errorf("the files of host %d are not those of a native run:\n%s", i+1, difference(files, got))
				}
			}
			if t.Failed() {
				t.Log(w.report(w.hosts[0]), w.report(w.hosts[1]))
			}
		})
	}
}

// TestByteCode imports a module that has no byte code yet, twice: every host writes its own, first to a file named after an
// address, which differs.
func TestByteCode(t *testing.T) {
	needs(t)
	old := time.Unix(1e9, 0)
	fill := func(w *world, h *host) {
		w.must(os.RemoveAll(h.files))
		w.mkdir(h.files)
		w.file(h, "module.py", "said = 'hello'\n")
		w.must(os.Chtimes(filepath.Join(h.files, "module.py"), old, old))
	}
	for _, hosts := range []int{2, 3} {
		for _, policy := range []string{"full", "socket_rw"} {
			t.Run(fmt.Sprintf("%d %s", hosts, policy), func(t *testing.T) {
				w := newWorldOf(t, hosts, tcp, "policy: "+policy)
				argv := []string{"/usr/bin/python3", "-c", "import module; print(module.said)"}
				fill(w, w.hosts[0])
				native, err := proc.Run(w.spec(w.hosts[0], argv...))
				w.must(err)
				files := describe(t, w.hosts[0])
				if made, _ := filepath.Glob(filepath.Join(w.hosts[0].files, "__pycache__", "*.pyc")); len(made) != 1 {
					t.Fatalf("a native run makes the byte code %q: %s", made, native)
				}
				w.each(func(h *host) { fill(w, h) })
				for range 2 {
					for i, r := range w.run(argv...) {
						want(t, fmt.Sprintf("variant %d", i+1), r, 0)
						if i == 0 && string(r.Stdout) != "hello\n" {
							t.Error(r)
						}
						if got := describe(t, w.hosts[i]); !slices.Equal(got, files) {
							t.Errorf("the files of host %d are not those of a native run:\n%s", i+1, difference(files, got))
						}
					}
				}
				if t.Failed() {
					t.Log(w.report(w.hosts[0]), w.report(w.hosts[1]))
				}
			})
		}
	}
}

// differing are files that are not the same on the second host: whoever reads one is stopped, and both reports name it.
var differing = []struct {
	name, leader, follower string // "": no such file
	argv                   []string
}{
	{"other data", "one\n", "two\n", []string{"cat", "data"}},
	{"longer", "one\n", "one\nmore\n", []string{"cat", "data"}},
	{"shorter", "one\nmore\n", "one\n", []string{"/usr/bin/python3", "-c", "print(open('data').read())"}},
	{"far inside", strings.Repeat("x", 300000) + "a", strings.Repeat("x", 300000) + "b", []string{"sha256sum", "data"}},
	{"absent", "one\n", "", []string{"cat", "data"}},
	{"mapped", "one\n", "two\n", []string{"/usr/bin/python3", "-c", "import mmap; f = open('data'); print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[0:3])"}},
	{"sent", "one\n", "two\n", []string{"/usr/bin/python3", "-c", "import os, socket; f = open('data'); a, b = socket.socketpair(); os.sendfile(a.fileno(), f.fileno(), None, 4); print(b.recv(4))"}},
	{"sent from a place", "one\n", "ane\n", []string{"/usr/bin/python3", "-c", "import os, socket; f = open('data'); a, b = socket.socketpair(); os.sendfile(a.fileno(), f.fileno(), 0, 3); print(b.recv(4))"}},
	{"sent to the outside", "one\n", "two\n", []string{"/usr/bin/python3", "-c", "import os; os.sendfile(1, os.open('data', os.O_RDONLY), None, 4)"}},
	{"from its end", "one\n", "one\ntwo\n", []string{"/usr/bin/python3", "-c", "import os; f = os.open('data', os.O_RDONLY); print(os.lseek(f, 0, os.SEEK_END))"}},
}

func TestDifferingFile(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp)
	for _, c := range differing {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			for i, text := range []string{c.leader, c.follower} {
				w.must(os.RemoveAll(filepath.Join(w.hosts[i].files, "data")))
				if text != "" {
					w.file(w.hosts[i], "data", text)
				}
			}
			results := w.run(c.argv...)
			for i, r := range results {
				want(t, []string{"leader", "follower"}[i], r, 70, "data has other data")
				if i == 0 && len(r.Stdout) > 0 {
					t.Errorf("output left the leader: %s", r)
				}
				if text := w.report(w.hosts[i]); !strings.Contains(text, "data has other data") {
					t.Errorf("the report of host %d does not name the file:\n%s", i+1, text)
				}
			}
		})
	}
}

func describe(t *testing.T, h *host) []string {
	t.Helper()
	lines, err := filetree.Describe(h.files, false)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// difference shows what one of two lists has that the other has not.
func difference(want, got []string) string {
	var out []string
	for _, l := range want {
		if !slices.Contains(got, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// TestStoresIntoOwnFiles: what a variant stores into a file of its own by way of a mapping would be compared by nobody, and from there
// sendfile would take it. So no such mapping is made, and none that is made for reading becomes one.
func TestStoresIntoOwnFiles(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp)
	w.each(func(h *host) { w.file(h, "data", strings.Repeat("x", 8192)) })
	const program = `
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = os.open("data", os.O_RDWR)
print(libc.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0) == 2**64 - 1, ctypes.get_errno())
at = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
print(ctypes.string_at(at, 3), libc.mprotect(ctypes.c_void_p(at), 4096, mmap.PROT_READ | mmap.PROT_WRITE), ctypes.get_errno())
`
	ps := []*proc.Process{w.start(w.hosts[0], "/usr/bin/python3", "-c", program), w.start(w.hosts[1], "/usr/bin/python3", "-c", program)}
	for i, p := range ps {
		r := p.Wait()
		want(t, fmt.Sprintf("variant %d", i+1), r, 0)
		if got := string(r.Stdout); got != []string{"True 13\nb'xxx' -1 13\n", ""}[i] {
			t.Errorf("variant %d has written %q", i+1, got)
		}
	}
}
