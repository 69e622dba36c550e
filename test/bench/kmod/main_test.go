package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// complete is what a guest prints that measured everything.
func complete() string {
	var b strings.Builder
	b.WriteString("monmod: loaded\n")
	for _, c := range calls {
		for i, m := range mechanisms {
			fmt.Fprintf(&b, "interpose %s %s %d.00\n", m.name, c, 100*(i+1))
		}
		fmt.Fprintf(&b, "monitor native - %s 4000\n", c)
		for _, p := range policies {
			fmt.Fprintf(&b, "monitor sud %s %s 200\nmonitor kmod %s %s 500\n", p, c, p, c)
		}
	}
	return b.String()
}

func TestParse(t *testing.T) {
	r, err := parse(complete())
	if err != nil {
		t.Fatal(err)
	}
	if v := r.interpose("sud", "getppid"); v != 200 {
		t.Errorf("sud: %v", v)
	}
	var page bytes.Buffer
	section(&page, "6.1.0", r)
	for _, want := range []string{"| native | 1 (100) |", "| `sud` | 2.00 (200) |", "| getppid | full | 2.50 | 0.0500 | 0.1250 |", "## Kernel 6.1.0\n"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}
	for name, output := range map[string]string{
		"cut off": complete()[:len(complete())/2],
		"empty":   strings.Replace(complete(), "sud getppid 200.00", "sud getppid", 1),
		"zero":    strings.Replace(complete(), "sud getppid 200.00", "sud getppid 0", 1),
	} {
		if _, err := parse(output); err == nil {
			t.Errorf("%s: taken for complete", name)
		}
	}
}
