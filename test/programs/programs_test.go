package programs

import (
	"flag"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/scratch"
	"github.com/monmod/monmod/test/internal/servers"
	"github.com/monmod/monmod/test/internal/target"
)

func TestMain(m *testing.M) {
	if err := proc.AdoptOrphans(); err != nil {
		panic(err)
	}
	flag.Parse()
	if limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); limit > 0 {
		proc.EndBy(time.Now().Add(limit - 10*time.Second))
	}
	os.Exit(m.Run())
}

// TestNative runs each workload natively, twice: what the others compare with must itself be the same at every run.
func TestNative(t *testing.T) {
	origin := startOrigin(t)
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			b := ready(t, w, origin)
			want := b.baseline(t)
			if v, text := b.Compare(want, b.Run(target.Native), target.Native); v != Same {
				t.Fatalf("two native runs differ: %s", text)
			}
			if len(want.Stdout) == 0 && len(want.Answers) == 0 && len(want.Files) < 2 {
				t.Fatalf("nothing to compare: %s", want.Result)
			}
		})
	}
}

// TestMonitored runs each workload as two variants under the full policy, and some of them in further ways.
func TestMonitored(t *testing.T) {
	requireBuilt(t)
	origin := startOrigin(t)
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			b := ready(t, w, origin)
			want := b.baseline(t)
			for _, how := range append([]target.How{twoFull}, w.Also...) {
				t.Run(how.String(), func(t *testing.T) {
					if v, text := b.Compare(want, b.Run(how), how); v != Same {
						t.Errorf("%s: %s", v, text)
					}
				})
			}
		})
	}
}

// TestTable checks the table of workloads itself.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range Workloads() {
		kinds := 0
		for _, set := range []bool{w.Argv != nil, w.Serve != nil, w.Inetd != nil} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s: %d of Argv, Serve and Inetd are set, exactly one must be", w.Name, kinds)
		}
		if seen[w.Name] || strings.ContainsAny(w.Name, "|\n/") {
			t.Errorf("name %q is not unique or does not fit into a table", w.Name)
		}
		seen[w.Name] = true
	}
}

// baseline is the native run that all others are compared with.
func (b *Bench) baseline(t *testing.T) Outcome {
	t.Helper()
	want := b.Run(target.Native)
	if want.Err != nil || len(want.Left) > 0 {
		t.Fatalf("the native run failed: %v, left behind %q\n%s", want.Err, want.Left, want.Result)
	}
	return want
}

func ready(t *testing.T, w Workload, origin string) *Bench {
	t.Helper()
	b, err := Ready(w, scratch.Dir(t), origin)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// requireBuilt fails where there is nothing to test: a suite that skips itself proves nothing.
func requireBuilt(t *testing.T) {
	t.Helper()
	if err := target.CheckBuilt("monmod", "libmonmod.so"); err != nil {
		t.Fatal(err)
	}
}

// startOrigin starts the web server that clients under test fetch from and returns its address.
func startOrigin(t *testing.T) string {
	t.Helper()
	docs := scratch.Dir(t)
	if err := servers.WriteDocs(docs); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(docs))
	srv := &http.Server{Handler: files}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}
