package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/machine"
	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// TestSoak runs the whole matrix MONMOD_SOAK times, without a load and with two busy processors beside it, and writes the
// table of results to the file that MONMOD_SOAK_TABLE names (from the tree's top folder), if it is set. MONMOD_SOAK_LOAD=no
// leaves out the runs under load. It needs -timeout 0.
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
	loads := []string{"", "stress-ng --cpu 2"}
	if os.Getenv("MONMOD_SOAK_LOAD") == "no" {
		loads = loads[:1]
	}
	origin := startOrigin(t)
	results := &Results{}
	for _, load := range loads {
		t.Run(soakName(load), func(t *testing.T) {
			if load != "" {
				startLoad(t)
			}
			for _, w := range Workloads() {
				t.Run(w.Name, func(t *testing.T) {
					defer func() { writeTable(t, results.Markdown(machine.Describe())) }() // hours: what is interrupted shows how far it came
					soak(t, ready(t, w, origin), load, rounds, results)
				})
			}
		})
	}
}

// soak runs one workload in every way of the matrix. One line is enough for each further failure of the same kind.
func soak(t *testing.T, b *Bench, load string, rounds int, results *Results) {
	want := b.baseline(t)
	for _, how := range Matrix {
		shown := map[Verdict]bool{}
		for i := range rounds {
			v, text := b.Compare(want, b.Run(how), how)
			results.Add(Cell{b.Name, how, load}, v)
			switch {
			case v != Same && shown[v]:
				t.Errorf("%s, run %d of %d: %s again", how, i+1, rounds, v)
			case v != Same:
				t.Errorf("%s, run %d of %d: %s: %s", how, i+1, rounds, v, text)
				shown[v] = true
			}
		}
	}
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

func soakName(load string) string {
	if load == "" {
		return "quiet"
	}
	return "loaded"
}

func writeTable(t *testing.T, table []byte) {
	path := os.Getenv("MONMOD_SOAK_TABLE")
	if path == "" {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(target.Root(), path)
	}
	if err := os.WriteFile(path, table, 0o644); err != nil {
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
	got := string(r.Markdown("somewhere"))
	for _, want := range []string{
		"| a | 2 | full | none | 10 | 4 | 1 | 3 | 2 |\n",
		"| b | 3 | socket_rw | busy | 1 | 1 | 0 | 0 | 0 |\n",
		fmt.Sprintf("Runs: %d. Identical: %d. False divergences: %d. Other results than natively: %d. Not run to their end: %d.", 11, 5, 1, 3, 2),
		"Machine: somewhere\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}
