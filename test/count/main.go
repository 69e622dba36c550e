// Command count reads what `go test -json` prints, from standard input: it shows one line per package, all that failed tests
// have said, and at the end how many tests there were. It ends with 1 where one failed or none ran. Nothing else lives here:
// which tests run is the Makefile's to say.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	c := newCounter(os.Stdout)
	if err := c.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "count:", err)
		os.Exit(1)
	}
	if !c.close() {
		os.Exit(1)
	}
}

// event is one line of test2json (go doc test2json), as far as it is looked at.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a package that was not built
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// counter counts the tests that have no tests below them, each package's by itself while it runs.
type counter struct {
	out                     io.Writer
	started                 time.Time
	running                 map[string]*results // by package
	said                    map[string][]string // by package and test: output so far
	packages                int
	passed, failed, skipped int
	skips                   []string // names with their reasons
	broken                  bool     // a package failed, for whatever reason
}

// results are the outcomes of a package's tests by name: pass, fail, skip.
type results map[string]string

func newCounter(out io.Writer) *counter {
	return &counter{out: out, started: time.Now(), running: map[string]*results{}, said: map[string][]string{}}
}

// read takes events to the end. Lines that are none are shown as they are.
func (c *counter) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if line := lines.Bytes(); len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil {
			fmt.Fprintf(c.out, "%s\n", line)
			continue
		}
		c.take(e)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the events of go test: %w", err)
	}
	return nil
}

func (c *counter) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(c.out, e.Output)
	case "build-fail":
		c.broken = true
	case "output":
		c.said[key] = append(c.said[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			c.endPackage(e)
			return
		}
		r, ok := c.running[e.Package]
		if !ok {
			r = &results{}
			c.running[e.Package] = r
		}
		(*r)[e.Test] = e.Action
		switch e.Action {
		case "fail":
			fmt.Fprint(c.out, strings.Join(c.said[key], ""))
		case "skip":
			c.skips = append(c.skips, e.Package+" "+e.Test+reason(c.said[key]))
		}
		delete(c.said, key)
	}
}

// endPackage ends a package: what its tests did is added up.
func (c *counter) endPackage(e event) {
	r, ok := c.running[e.Package]
	if !ok {
		r = &results{}
	}
	delete(c.running, e.Package)
	tests := 0
	for name, action := range *r {
		if r.hasBelow(name, action) {
			continue
		}
		tests++
		switch action {
		case "pass":
			c.passed++
		case "fail":
			c.failed++
		case "skip":
			c.skipped++
		}
	}
	if e.Action == "fail" {
		c.broken = true
		fmt.Fprint(c.out, strings.Join(c.said[e.Package+" "], ""))
	}
	if tests > 0 || e.Action == "fail" {
		c.packages++
		fmt.Fprintf(c.out, "%-4s %4d tests %7.1fs  %s\n", e.Action, tests, e.Elapsed, e.Package)
	}
}

// hasBelow says whether a test's outcome is that of tests below it: one that fails though they pass counts itself.
func (r *results) hasBelow(name, action string) bool {
	for other, its := range *r {
		if strings.HasPrefix(other, name+"/") && (action != "fail" || its == "fail") {
			return true
		}
	}
	return false
}

// reason is the last line that a skipped test has said.
func reason(said []string) string {
	for _, line := range slices.Backward(said) {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return ": " + strings.TrimSpace(text)
		}
	}
	return ""
}

// close says what there was, and whether all is well.
func (c *counter) close() bool {
	slices.Sort(c.skips)
	for _, name := range c.skips {
		fmt.Fprintln(c.out, "skipped:", name)
	}
	for name := range c.running {
		c.broken = true
		fmt.Fprintln(c.out, "did not end:", name)
	}
	good := !c.broken && c.failed == 0 && c.passed > 0
	verdict := "ok"
	if !good {
		verdict = "FAILED"
	}
	fmt.Fprintf(c.out, "%s: %d tests passed, %d failed, %d skipped in %d packages, %s\n",
		verdict, c.passed, c.failed, c.skipped, c.packages, time.Since(c.started).Round(time.Second))
	return good
}
