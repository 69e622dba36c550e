package programs

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/monmod/monmod/test/internal/target"
)

// Cell is one line of the table of results: one workload in one way, with or without a load beside it.
type Cell struct {
	Workload string
	How      target.How
	Load     string // "" or what kept the processors busy
}

// Tally counts how the runs of one cell ended, by verdict.
type Tally map[Verdict]int

// Runs returns the number of all runs.
func (t Tally) Runs() int {
	n := 0
	for _, c := range t {
		n += c
	}
	return n
}

// Results collects the tallies in the order in which their cells were first met.
type Results struct {
	cells   []Cell
	tallies map[Cell]Tally
}

// Add counts one run.
func (r *Results) Add(c Cell, v Verdict) {
	if r.tallies == nil {
		r.tallies = map[Cell]Tally{}
	}
	if r.tallies[c] == nil {
		r.tallies[c] = Tally{}
		r.cells = append(r.cells, c)
	}
	r.tallies[c][v]++
}

// Tally returns the counts of one cell.
func (r *Results) Tally(c Cell) Tally { return r.tallies[c] }

// Markdown renders the page docs/compatibility.md. machine says where the runs were made, source of what monmod was built.
func (r *Results) Markdown(machine, source string) []byte {
	total := Tally{}
	var rows []int // runs of each: an interrupted soak has fewer in some, which the head of the page says
	for _, t := range r.tallies {
		rows = append(rows, t.Runs())
		for v, n := range t {
			total[v] += n
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Compatibility

Each workload was run natively and then again and again as cross-checked variants on one host, and each of those runs was compared with the native one:
exit status, output, the files left behind with their contents, and for servers every answer to a client. Written by `+"`make soak`"+`; do not edit.
Two workloads ran at any time, and four beside a load; "load" is what kept both processors busy besides.

- Machine: %s
- monmod: %s
- Runs: %d. Identical: %d. False divergences: %d. Other results than natively: %d. Not run to their end: %d.
- Each row has %s runs.

| workload | variants | policy | load | runs | identical | divergences | mismatches | failures |
|---|---|---|---|---|---|---|---|---|
`, machine, source, total.Runs(), total[Same], total[Diverged], total[Mismatch], total[Failed],
		span(rows))
	for _, c := range r.cells {
		t := r.tallies[c]
		load := c.Load
		if load == "" {
			load = "none"
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %d | %d | %d | %d | %d |\n", c.Workload, c.How.Variants, c.How.Policy, load,
			t.Runs(), t[Same], t[Diverged], t[Mismatch], t[Failed])
	}
	return b.Bytes()
}

// span says in words from where to where the numbers go.
func span(numbers []int) string {
	if len(numbers) == 0 {
		return "0"
	}
	low, high := slices.Min(numbers), slices.Max(numbers)
	if low == high {
		return strconv.Itoa(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}
