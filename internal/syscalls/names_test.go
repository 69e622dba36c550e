package syscalls

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestEveryNumberHasItsName compares with what the C compiler's headers say.
func TestEveryNumberHasItsName(t *testing.T) {
	header, err := os.ReadFile("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
	if err != nil {
		t.Fatal(err)
	}
	highest := 0
	for _, r := range Table {
		highest = max(highest, r.NR)
		if rowless[r.NR] != "" {
			t.Errorf("number %d has the row of %s and is called %s", r.NR, r.Name, rowless[r.NR])
		}
	}
	seen := 0
	for _, m := range regexp.MustCompile(`(?m)^#define __NR_(\w+) (\d+)$`).FindAllSubmatch(header, -1) {
		nr, err := strconv.Atoi(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		if got := NativeName(nr); nr <= highest && got != string(m[1]) {
			t.Errorf("number %d is called %s, not %s", nr, got, m[1])
		}
		seen++
	}
	if seen < 300 {
		t.Errorf("only %d numbers were compared", seen)
	}
	if got := NativeName(100000); got != "number 100000 of x86_64" {
		t.Errorf("%q", got)
	}
}
