package hosts

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/monmod/monmod/test/internal/cprog"
)

// Hosts may have other builds of the same thing where the group says so, and only there.
func TestOtherBuilds(t *testing.T) {
	needs(t)
	w := newWorld(t, unixSockets)
	plain := w.hosts[0].common
	user, err := cprog.Glibc.Compile("c/user.c", w.base)
	w.must(err)
	for _, c := range []struct {
		name     string
		lines    string
		program  bool // the program is another build too
		status   int
		word     string
		noStdout bool
	}{
		{"library", "", false, 70, "lib.so", true},
		{"library that a rule names", "rules: [{path: /**/*.so, data: own}]\n", false, 0, "", false},
		{"program", "", true, 78, "program file", true},
		{"program and library, as the group says", "program: differs\nrules: [{path: /**/*.so, data: own}]\n", true, 0, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.each(func(h *host) {
				w.configure(h, plain+c.lines)
				w.native("gcc", "-shared", "-fPIC", fmt.Sprintf("-O%d", h.id), fmt.Sprintf("-DPARTS=%d", 1+(h.id-1)*5000), "-o", filepath.Join(h.files, "lib.so"), absolute(t, "c/lib.c"))
				w.native("cp", user, filepath.Join(h.files, "user"))
				if c.program && h.id == 2 {
					w.native("gcc", "-O0", "-pie", "-fPIE", "-o", filepath.Join(h.files, "user"), absolute(t, "c/user.c"))
				}
			})
			for i, r := range w.run(w.seen("user")) {
				want(t, fmt.Sprintf("host %d", i+1), r, c.status, c.word)
				if i == 0 && (string(r.Stdout) == "42\n") == c.noStdout {
					t.Errorf("the leader's output is %q", r.Stdout)
				}
			}
			if t.Failed() {
				t.Log(w.report(w.hosts[1]))
			}
		})
	}
}

// Three hosts: what one follower alone does is told of that one, everywhere.
func TestThreeHosts(t *testing.T) {
	needs(t)
	w := newWorldOf(t, 3, tcp6, append(limits, "rules: [{path: /**/role, data: differs}]")...)
	program, err := cprog.Glibc.Compile("c/role.c", w.base)
	w.must(err)
	for _, c := range []struct {
		roles  [3]string
		status int
		word   string
	}{
		{[3]string{"plain", "plain", "plain"}, 0, ""},
		{[3]string{"plain", "plain", "other"}, 70, "variant 3 diverged"},
		{[3]string{"plain", "spins", "plain"}, 70, "variant 2"},
		{[3]string{"plain", "plain", "fault"}, 70, "SIGSEGV"},
	} {
		t.Run(fmt.Sprint(c.roles), func(t *testing.T) {
			w.t = t
			w.each(func(h *host) { w.file(h, "role", c.roles[h.id-1]) })
			for i, r := range w.run(program) {
				want(t, fmt.Sprintf("host %d", i+1), r, c.status, c.word)
			}
		})
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
