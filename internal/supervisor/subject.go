package supervisor

import (
	"fmt"
	"os"

	"github.com/monmod/monmod/internal/report"
	"github.com/monmod/monmod/internal/syscalls"
)

// subjectOf names the file that a divergence of v is about, "" where it is about none. The variant stands where it diverged,
// so what its descriptors are open on can still be seen.
func subjectOf(v *variant, c *report.Case) string {
	switch c.Reason {
	case report.OtherData, report.OtherCode, report.OtherResult:
	default:
		return ""
	}
	if len(c.Calls) == 0 {
		return ""
	}
	call := &c.Calls[0]
	path := ""
	for i := range call.Args {
		a := &call.Args[i]
		switch {
		case a.Value != nil && (a.Name == "fd" || a.Name == "in"):
			if name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", v.pid, uint32(*a.Value))); err == nil {
				return name
			}
		case a.Kind == "path" && path == "":
			path = string(a.Raw) // it could not be opened
		}
	}
	if path == "" || path[0] == '/' || !opens(call) {
		return path
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", v.pid)); err == nil {
		return cwd + "/" + path
	}
	return path
}

// opens says whether relative paths of a call are the working directory's.
func opens(c *report.Call) bool {
	const cwd = -100 // AT_FDCWD
	for i := range c.Args {
		if a := &c.Args[i]; a.Kind == "dirfd" {
			return a.Value != nil && int32(*a.Value) == cwd
		}
	}
	return syscalls.ArgKind(c.Number, 0) == "path"
}
