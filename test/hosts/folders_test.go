package hosts

import (
	"fmt"
	"strings"
	"testing"
)

// A program works in folders of which followers have nothing: below a file system in memory, which is the leader's, and one of
// which a descriptor was inherited. Each time the folder that it comes from has a file of the same name, with other data.
func TestFoldersOfTheLeader(t *testing.T) {
	needs(t)
	w := newWorld(t, tcp)
	const program = `
import os, tempfile
files = os.getcwd()
d = tempfile.mkdtemp(dir="mem"); os.chdir(d)
open("text", "w").write("memory"); print(open("text").read(), os.listdir("."), os.getcwd() == os.path.join(files, d))
os.mkdir("deeper"); os.chdir("deeper"); os.chdir(".."); os.rename("text", "other"); here = os.open(".", os.O_RDONLY)
os.chdir(files); print(open("text").read()); os.fchdir(here); print(open("other").read())
os.chdir(files); os.chdir("mem"); print(os.listdir(".") == [os.path.basename(d)]); os.chdir(".."); print(open("text").read())
os.fchdir(3); print(open("text").read(), os.listdir("."), os.getcwd() == files + "/given")
os.mkdir("made"); os.rename("made", "moved"); os.chdir("moved"); open("x", "w").close(); print(os.listdir(".")); os.unlink("x"); os.chdir("..")
f = os.open("moved", os.O_RDONLY); os.mkdir("below", dir_fd=f); os.rmdir("below", dir_fd=f)
os.chdir(files); print(os.open("text", os.O_RDONLY, dir_fd=3) > 3); os.rmdir("moved", dir_fd=3)
os.mkdir("mem/jail"); os.chroot("mem/jail"); os.chdir("/"); open("/etc", "w").write("inside"); print(os.listdir("/"), open("etc").read())
`
	const output = "memory ['text'] True\nown\nmemory\nTrue\nown\ngiven ['text'] True\n['x']\nTrue\n['etc'] inside\n"
	w.each(func(h *host) {
		w.file(h, "text", "own")
		w.file(h, "given/text", "given")
		h.extra = strings.ReplaceAll("mkdir -p FILES/mem; mount -t tmpfs none FILES/mem; exec 3<FILES/given;", "FILES", w.files)
	})
	for i, r := range w.run("/usr/bin/python3", "-c", program) {
		want(t, fmt.Sprintf("host %d", i+1), r, 0)
		if i == 0 && string(r.Stdout) != output {
			t.Errorf("the leader's output is not %q: %s", output, r)
		}
	}
	if t.Failed() {
		t.Log(w.report(w.hosts[0]), w.report(w.hosts[1]))
	}
}
