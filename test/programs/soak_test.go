package programs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monmod/monmod/test/internal/machine"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// oneWorkload names, in the environment of a process that TestSoak started, the workload that this process runs, and its load.
const oneWorkload, oneLoad = "MONMOD_SOAK_WORKLOAD", "MONMOD_SOAK_BESIDE"

// loads are what runs beside the workloads, and how many of these run at a time: two, and under a load four, or the two busy
// processes would have the greater part of two processors. The table of results says both numbers.
var loads = []struct {
	name    string
	atATime int
}{{"", 2}, {"stress-ng --cpu 2", 4}}

// TestSoak runs the whole matrix MONMOD_SOAK times, without a load and with two busy processors beside it, and writes the
// table of results to the file that MONMOD_SOAK_TABLE names (from the tree's top folder), if it is set. MONMOD_SOAK_LOAD=no
// leaves out the runs under load. It needs -timeout 0. An interrupted soak of the same build goes on where it was.
func TestSoak(t *testing.T) {
	times := os.Getenv("MONMOD_SOAK")
	if times == "" {
		t.Skip("set MONMOD_SOAK to a number of runs; make soak does")
	}
	rounds, err := strconv.Atoi(times)
	if err != nil || rounds < 1 {
		t.Fatalf("MONMOD_SOAK is %q: give a number of runs, such as 50", times)
	}
	requireBuilt(t)
	journal, err := OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	if name := os.Getenv(oneWorkload); name != "" {
		soakOne(t, name, os.Getenv(oneLoad), rounds, journal)
		return
	}
	for _, load := range loads {
		if load.name != "" && os.Getenv("MONMOD_SOAK_LOAD") == "no" {
			continue
		}
		t.Run(soakName(load.name), func(t *testing.T) {
			if load.name != "" {
				startLoad(t)
			}
			soakAll(t, load.name, load.atATime, journal)
		})
	}
}

// soakAll runs every workload in a process of its own: each sees to it that none of its own processes is left behind.
func soakAll(t *testing.T, load string, atATime int, journal Journal) {
	queue := make(chan string)
	var workers sync.WaitGroup
	for range atATime {
		workers.Go(func() {
			for name := range queue {
				c := exec.Command(os.Args[0], "-test.run", "^TestSoak$", "-test.timeout", "0")
				c.Env = append(os.Environ(), oneWorkload+"="+name, oneLoad+"="+load)
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", name, err, out)
				}
				writeTable(t, journal) // hours: what is interrupted shows how far it came
			}
		})
	}
	for _, w := range Workloads() {
		queue <- w.Name
	}
	close(queue)
	workers.Wait()
}

// soakOne runs one workload in every way of the matrix, in turns, as often as the journal does not have it already: a soak that
// is interrupted has then seen every way about equally often. One line is enough for each further failure of the same kind.
func soakOne(t *testing.T, name, load string, rounds int, journal Journal) {
	done := &Results{}
	if err := journal.Read(name, load, done); err != nil {
		t.Fatal(err)
	}
	runDeadline = 10 * time.Minute
	b := ready(t, workload(t, name), startOrigin(t))
	want := b.baseline(t)
	shown := map[string]bool{}
	for i := range rounds {
		for _, how := range Matrix {
			cell := Cell{name, how, load}
			if i < done.Tally(cell).Runs() {
				continue
			}
			v, text := b.Compare(want, b.Run(how), how)
			if err := journal.Add(cell, v); err != nil {
				t.Fatal(err)
			}
			kind := fmt.Sprintf("%s: %s", how, v)
			switch {
			case v != Same && shown[kind]:
				t.Errorf("%s, run %d of %d: again", kind, i+1, rounds)
			case v != Same:
				t.Errorf("%s, run %d of %d: %s", kind, i+1, rounds, text)
				shown[kind] = true
			}
		}
	}
}

func workload(t *testing.T, name string) Workload {
	t.Helper()
	for _, w := range Workloads() {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no workload is called %q", name)
	return Workload{}
}

func startLoad(t *testing.T) {
	t.Helper()
	stress, err := target.Lookup("stress-ng")
	if err != nil {
		t.Fatal(err)
	}
	stop, err := proc.StartLoad(stress, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// builtFrom names the commit of the tree, of which `make soak` has built what runs.
func builtFrom() string {
	out, err := exec.Command("git", "-C", target.Root(), "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "a tree without a history"
	}
	return "commit " + strings.TrimSpace(string(out))
}

var tableMutex sync.Mutex

// writeTable renders the whole journal.
func writeTable(t *testing.T, journal Journal) {
	tableMutex.Lock()
	defer tableMutex.Unlock()
	path := os.Getenv("MONMOD_SOAK_TABLE")
	if path == "" {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(target.Root(), path)
	}
	results := &Results{}
	var err error
	for _, load := range loads {
		for _, w := range Workloads() {
			err = errors.Join(err, journal.Read(w.Name, load.name, results))
		}
	}
	if err = errors.Join(err, os.WriteFile(path, results.Markdown(machine.Describe(), builtFrom()), 0o644)); err != nil {
		t.Errorf("write the table of results: %v", err)
	}
}

// TestMarkdown checks that the table counts each verdict in its own column.
func TestMarkdown(t *testing.T) {
	r := &Results{}
	for v, n := range map[Verdict]int{Same: 4, Mismatch: 3, Failed: 2, Diverged: 1} {
		for range n {
			r.Add(Cell{"a", twoFull, ""}, v)
		}
	}
	r.Add(Cell{"b", threeRW, "busy"}, Same)
	one := &Results{}
	one.Add(Cell{"a", twoFull, ""}, Same)
	for want, r := range map[string]*Results{"0": {}, "1": one} {
		if got, want := string(r.Markdown("somewhere", "something")), "- Each row has "+want+" runs.\n"; !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	got := string(r.Markdown("somewhere", "something"))
	for _, want := range []string{
		"| a | 2 | full | none | 10 | 4 | 1 | 3 | 2 |\n",
		"| b | 3 | socket_rw | busy | 1 | 1 | 0 | 0 | 0 |\n",
		fmt.Sprintf("Runs: %d. Identical: %d. False divergences: %d. Other results than natively: %d. Not run to their end: %d.", 11, 5, 1, 3, 2),
		"- Each row has 1 to 10 runs.\n",
		"Machine: somewhere\n",
		"monmod: something\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}

// TestJournal checks that what is read is what was written, and that a line cut short is named.
func TestJournal(t *testing.T) {
	j := Journal{t.TempDir()}
	for _, v := range []Verdict{Same, Same, Diverged} {
		if err := j.Add(Cell{"a b", twoFull, "busy"}, v); err != nil {
			t.Fatal(err)
		}
	}
	r := &Results{}
	if err := errors.Join(j.Read("a b", "busy", r), j.Read("a b", "", r), j.Read("c", "", r)); err != nil {
		t.Fatal(err)
	}
	if got := r.Tally(Cell{"a b", twoFull, "busy"}); got[Same] != 2 || got[Diverged] != 1 || got.Runs() != 3 {
		t.Errorf("read %v", got)
	}
	if err := os.WriteFile(j.path("cut", ""), []byte("2 full same\n2 full sa"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := j.Read("cut", "", r); err == nil || !strings.Contains(err.Error(), ":2: ") {
		t.Errorf("a line cut short: %v", err)
	}
}
