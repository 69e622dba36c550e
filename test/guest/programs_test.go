package guest

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/monmod/monmod/test/internal/guest"
)

//go:embed programs.sh
var programs string

// TestPrograms runs servers, a database, tools and interpreters under the module and compares them with themselves unmonitored.
func TestPrograms(t *testing.T) {
	most(t, func(t *testing.T, k guest.Kernel) {
		r := guest.Must(t, guest.Options{Kernel: k, Files: project(t, k), MemoryMB: 2048, Script: load + programs})
		t.Logf("%s%v", r.Output, r.Elapsed)
		if passed := strings.Count(string(r.Output), "PASS "); passed < 15 {
			t.Errorf("only %d runs were compared: %s", passed, r)
		}
	})
}
