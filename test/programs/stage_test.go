package programs

import (
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/cprog"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/target"
)

// stage is what the tests of one behaviour stand on: a folder, and the program c/behave.c.
type stage struct {
	t      *testing.T
	how    target.How
	base   string
	behave string
}

// nativelyAndMonitored runs a test both ways: what holds natively is what has to hold monitored, and a test that fails
// natively is itself wrong.
func nativelyAndMonitored(t *testing.T, test func(s stage)) {
	t.Helper()
	inWays(t, []target.How{target.Native, twoFull}, test)
}

// inWays runs a test in each of some ways.
func inWays(t *testing.T, ways []target.How, test func(s stage)) {
	t.Helper()
	base := scratch.Dir(t)
	behave, err := cprog.Glibc.Compile(source("c", "behave.c"), base)
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range ways {
		t.Run(how.String(), func(t *testing.T) {
			if how.Variants > 0 {
				requireBuilt(t)
			}
			test(stage{t: t, how: how, base: base, behave: behave})
			if report := takeReports(base); t.Failed() {
				t.Log(report)
			}
			if left := proc.Orphans(orphanGrace); len(left) > 0 {
				t.Errorf("processes left behind: %q", left)
			}
		})
	}
}

// spec composes the start of a program on the stage.
func (s stage) spec(argv ...string) proc.Spec {
	s.t.Helper()
	program, err := target.Lookup(argv[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return proc.Spec{
		Argv: s.how.Argv(s.base, append([]string{program}, argv[1:]...)...), Dir: s.base, Env: target.Env(s.base),
		Deadline: 20 * time.Second,
	}
}

// run runs a program to its end.
func (s stage) run(spec proc.Spec) proc.Result {
	s.t.Helper()
	r, err := proc.Run(spec)
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Expired {
		s.t.Fatalf("it did not end: %s", r)
	}
	return r
}

// start starts a program and ends it at the test's end at the latest.
func (s stage) start(spec proc.Spec) *proc.Process {
	s.t.Helper()
	p, err := proc.Start(spec)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Kill(); p.Wait() })
	return p
}

// want checks how a program ended.
func (s stage) want(r proc.Result, status int, stdout string) {
	s.t.Helper()
	if r.Status != status || string(r.Stdout) != stdout {
		s.t.Errorf("want status %d and output %.200q, got %s", status, stdout, r)
	}
}
