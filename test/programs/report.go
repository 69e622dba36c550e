package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/monmod/monmod/test/internal/proc"
	"github.com/monmod/monmod/test/internal/target"
)

// takeReports returns the reports of divergences below base as `monmod report` shows them, and removes them, so that each run
// shows its own.
func takeReports(base string) string {
	paths, err := filepath.Glob(filepath.Join(target.Logs(base), "*", "*.json"))
	if err != nil {
		return err.Error()
	}
	more, err := filepath.Glob(filepath.Join(target.Logs(base), "*.json"))
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, path := range append(paths, more...) {
		r, err := proc.Run(proc.Spec{
			Argv: []string{target.Built("monmod"), "report", path}, Dir: base, Env: target.Env(base), Deadline: 10 * time.Second,
		})
		if err != nil || r.Status != 0 {
			fmt.Fprintf(&text, "show report %s: %v %s\n", path, err, r)
		}
		text.Write(r.Stdout)
		if err := os.Remove(path); err != nil {
			fmt.Fprintln(&text, err)
		}
	}
	return text.String()
}
