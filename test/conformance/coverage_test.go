package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monmod/monmod/internal/syscalls"
)

// kinds says which kinds of cases show what a class of calls promises.
func kinds(c syscalls.Class) []string {
	switch c {
	case syscalls.Absent:
		return []string{"refused"}
	case syscalls.Ends:
		return []string{"ends"}
	default:
		return []string{"normal", "alone"}
	}
}

// TestCoverage fails where a row of the system-call table has no case, and where a case needs a row that is not there.
func TestCoverage(t *testing.T) {
	covered := map[string][]string{} // call → kinds of the cases that make it
	rows := map[string]syscalls.Class{}
	for _, row := range syscalls.Table {
		rows[row.Name] = row.Class
	}
	for _, s := range syscalls.Spellings {
		rows[s.Name] = rows[s.To]
	}
	seen := map[string]string{}
	for _, p := range programs(t) {
		for _, c := range p.cases {
			if other, ok := seen[c.name]; ok {
				t.Errorf("two cases are called %s, in %s and %s", c.name, other, p.name)
			}
			seen[c.name] = p.name
			for _, call := range c.calls {
				covered[call] = append(covered[call], c.kind)
				class, ok := rows[call]
				if call != "none" && !ok && c.kind != "ends" {
					t.Errorf("%s/%s makes %s, which has no row: the group would end", p.name, c.name, call)
				}
				if ok && class == syscalls.Absent && c.kind != "refused" {
					t.Errorf("%s/%s makes %s, which is absent by the table: make it in a REFUSED case", p.name, c.name, call)
				}
			}
		}
	}
	for name, class := range rows {
		if !slices.ContainsFunc(kinds(class), func(kind string) bool { return slices.Contains(covered[name], kind) }) {
			t.Errorf("%s (class %s) has no case of kind %s in c/", name, class, strings.Join(kinds(class), " or "))
		}
	}
}

// TestAbsentErrors holds the errors that the table promises for absent calls against those that the cases expect.
func TestAbsentErrors(t *testing.T) {
	source, err := os.ReadFile("c/refused.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range syscalls.Table {
		if row.Class != syscalls.Absent {
			continue
		}
		step := `EXPECT("` + row.Errno + `", raw(SYS_` + row.Name
		if !strings.Contains(string(source), step+",") && !strings.Contains(string(source), step+")") {
			t.Errorf("c/refused.c does not expect %s of %s", row.Errno, row.Name)
		}
	}
}

// TestCasesMakeTheirCalls holds the list beside each case against what strace sees the case do.
func TestCasesMakeTheirCalls(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("this test needs strace: apt-get install strace")
	}
	for _, p := range programs(t) {
		for _, c := range p.cases {
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				path, at := compiled(t, toolchains[0], p.name), newPlace(t)
				log := filepath.Join(at.base, "trace")
				at.run(t, "strace", "-f", "-qq", "-e", "signal=none", "-o", log, path, c.name)
				text, err := os.ReadFile(log)
				if err != nil {
					t.Fatal(err)
				}
				// Lines are "pid call(arguments) = result".
				made := map[string]bool{}
				for _, line := range strings.Split(string(text), "\n") {
					if _, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
						call, _, _ := strings.Cut(strings.TrimSpace(rest), "(")
						made[call] = true
					}
				}
				for _, call := range c.calls {
					if call != "none" && !made[call] {
						t.Errorf("the case does not make %s, which it lists", call)
					}
				}
			})
		}
	}
}
