package runtime

import (
	"slices"

	"github.com/monmod/monmod/internal/control"
)

// maker returns the low-level runtime that made the monitored container which a
// command is about, empty where there is none: no other one knows the container,
// whatever the operator's file says by now, or cannot say.
func (w *wrapper) maker(inv *Invocation) string {
	if slices.Contains(creating, inv.Command) || control.CheckID(inv.Container) != nil {
		return ""
	}
	p, err := control.LoadPlan(inv.Container)
	if err != nil {
		return ""
	}
	path, err := findLowLevel(p.Runtime.Path, w.self)
	if err != nil {
		return ""
	}
	// Without --root and --low-level the engine means the folder of the one that
	// made it.
	of := path
	if inv.LowLevel != "" && w.lowLevel != "" {
		of = w.lowLevel
	}
	root, err := engineRoot(inv, of)
	planned, err2 := realPath(p.Root)
	if err != nil || err2 != nil || root != planned || !exists(planned, p.Container) {
		return ""
	}
	return path
}
