package hosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each file differs between the hosts, and a rule says what of it.
var ruled = []struct {
	name   string
	rules  []string
	argv   []string
	status int
	stdout string
	files  [2]string // afterwards, on each host; "": not looked at
}{
	{"leader", []string{"{path: FILES/**/data, data: leader}"}, []string{"cat", "a/data"}, 0, "one\n", [2]string{}},
	{"leader written", []string{"{path: FILES/a/*, data: leader}"},
		[]string{"/usr/bin/python3", "-c", "import os; open('a/data', 'a').write('x'); os.chmod('a/data', 0o600)"}, 0, "", [2]string{"one\nx", "two\n"}},
	{"differs", []string{"{path: FILES/a/data, data: differs}"}, []string{"/usr/bin/python3", "-c", "print(len(open('a/data').read()))"}, 0, "4\n", [2]string{}},
	{"differs and goes out", []string{"{path: FILES/a/data, data: differs}"}, []string{"cat", "a/data"}, 70, "", [2]string{}},
	{"own", []string{"{path: FILES/**, data: own}"},
		[]string{"/usr/bin/python3", "-c", "f = open('a/data', 'r+'); s = f.read(); f.write(s + '-' * (s == 'one\\n'))"}, 0, "", [2]string{"one\none\n-", "two\ntwo\n"}},
	{"other path", []string{"{path: FILES/*/*/data, data: leader}"}, []string{"cat", "a/data"}, 70, "", [2]string{}},
	{"other call", []string{"{path: FILES/a/data, call: mmap, data: leader}"}, []string{"cat", "a/data"}, 70, "", [2]string{}},
	{"first rule wins", []string{"{path: FILES/a/data, data: leader}", "{path: FILES/a/*, data: own}"}, []string{"cat", "a/data"}, 0, "one\n", [2]string{}},
	{"data and check apart", []string{"{path: FILES/a/data, check: compare}", "{path: FILES/**/data, data: leader}"}, []string{"cat", "a/data"}, 0, "one\n", [2]string{}},
	{"through a link", []string{"{path: FILES/a/data, data: leader}"}, []string{"cat", "link/data"}, 0, "one\n", [2]string{}},
	{"exempt by descriptor", []string{"{path: FILES/a/data, data: differs}", "{path: FILES/log/**, call: write, check: exempt}"},
		[]string{"/usr/bin/python3", "-c", "s = open('a/data').read(); open('log/deep.log', 'w').write(s)"}, 0, "", [2]string{}},
	{"not exempt elsewhere", []string{"{path: FILES/a/data, data: differs}", "{path: FILES/log/**, call: write, check: exempt}"},
		[]string{"/usr/bin/python3", "-c", "s = open('a/data').read(); open('a/log', 'w').write(s)"}, 70, "", [2]string{}},
	{"exempt by path", []string{"{path: FILES/a/data, data: differs}", "{path: FILES/log/*, check: exempt}"},
		[]string{"/usr/bin/python3", "-c", "import os; s = open('a/data').read(1); os.mkdir('log/' + s); os.rename('log/' + s, 'log/' + s + s); os.path.exists('log/' + s); os.rmdir('log/' + s + s)"}, 0, "", [2]string{}},
	{"exempt by one path of two", []string{"{path: FILES/a/data, data: differs}", "{path: FILES/log/*, check: exempt}"},
		[]string{"/usr/bin/python3", "-c", "import os; s = open('a/data').read(1); os.mkdir('log/' + s); os.rename('log/' + s, 'a/' + s)"}, 70, "", [2]string{}},
	{"compared against the policy", []string{"{path: FILES/a/data, data: differs}", "{path: FILES/log/*, check: compare}"},
		[]string{"/usr/bin/python3", "-c", "import os; s = open('a/data').read(1); os.path.exists('log/' + s)"}, 70, "", [2]string{}},
	{"exempt by the policy", []string{"{path: FILES/a/data, data: differs}", "{path: FILES/a/*, check: compare}"},
		[]string{"/usr/bin/python3", "-c", "import os; s = open('a/data').read(1); os.path.exists('log/' + s)"}, 0, "", [2]string{}},
	{"exempt call", []string{"{path: FILES/a/data, data: differs}", "{call: umask, check: exempt}"},
		[]string{"/usr/bin/python3", "-c", "import os; os.umask(ord(open('a/data').read(1)) & 7)"}, 0, "", [2]string{}},
}

func TestRules(t *testing.T) {
	needs(t)
	w := newWorld(t, unixSockets)
	plain := w.hosts[0].common
	for _, c := range ruled {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			policy := "full"
			if strings.HasSuffix(c.name, "the policy") {
				policy = "nonsocket_ro"
			}
			w.each(func(h *host) {
				w.must(os.RemoveAll(h.files))
				w.file(h, "a/data", []string{"one\n", "two\n"}[h.id-1])
				w.mkdir(filepath.Join(h.files, "log"))
				w.must(os.Symlink("a", filepath.Join(h.files, "link")))
				text := plain + "policy: " + policy + "\nrules:\n  - " + strings.Join(c.rules, "\n  - ") + "\n"
				w.configure(h, strings.ReplaceAll(text, "FILES", w.files))
			})
			for i, r := range w.run(c.argv...) {
				want(t, []string{"leader", "follower"}[i], r, c.status)
				if i == 0 && string(r.Stdout) != c.stdout {
					t.Errorf("the leader's output is not %q: %s", c.stdout, r)
				}
				if c.files[i] == "" {
					continue
				}
				if got, err := os.ReadFile(filepath.Join(w.hosts[i].files, "a/data")); err != nil || string(got) != c.files[i] {
					t.Errorf("host %d has %q (%v) afterwards, want %q", i+1, got, err, c.files[i])
				}
			}
			if t.Failed() {
				t.Log(w.report(w.hosts[1]))
			}
		})
	}
}
