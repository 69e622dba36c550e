package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Whether the kernel holds a process's control group still. The place in the kernel where a process waits does not say so: since
// Linux 6.1 the older freezer leaves who sleeps asleep where he is.

// freezerFiles are what the two kinds of hierarchies say it in. Both tell of a group whose parent is frozen too.
var freezerFiles = map[string]string{"cgroup": "freezer.state", "cgroup2": "cgroup.events"}

// hierarchy is where a hierarchy of control groups that can be frozen is mounted.
type hierarchy struct {
	kind string // of file system
	root string // the group that is mounted there
	at   string
}

var hierarchies = sync.OnceValue(func() []hierarchy {
	b, _ := os.ReadFile("/proc/self/mountinfo") // without it the place where a process waits has to do
	return parseHierarchies(b)
})

// parseHierarchies takes what is mounted where (fourth field and fifth) of the lines whose type, the first field behind the lone
// dash, is one of control groups. Of the older kind that of the freezer counts.
func parseHierarchies(mountinfo []byte) (out []hierarchy) {
	for line := range strings.Lines(string(mountinfo)) {
		before, after, _ := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(rest) < 3 || freezerFiles[rest[0]] == "" {
			continue
		}
		if outside(fields[3]) || rest[0] == "cgroup" && !strings.Contains(","+rest[2]+",", ",freezer,") {
			continue
		}
		out = append(out, hierarchy{rest[0], fields[3], fields[4]})
	}
	return out
}

// outside says whether a group does not lie in this process's namespace of control groups: from here its path is not known.
func outside(path string) bool { return strings.HasPrefix(path+"/", "/../") }

// freezersOf gives the files that say whether a process is frozen, of what /proc/PID/cgroup holds.
func freezersOf(cgroups []byte, mounted []hierarchy) (files []string) {
	for line := range strings.Lines(string(cgroups)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // number, controllers, path
		if len(f) < 3 || outside(f[2]) {
			continue
		}
		kind := "cgroup"
		if f[0] == "0" {
			kind = "cgroup2"
		} else if !strings.Contains(","+f[1]+",", ",freezer,") {
			continue
		}
		for _, h := range mounted {
			below, err := filepath.Rel(h.root, f[2])
			if h.kind == kind && err == nil && filepath.IsLocal(below) {
				files = append(files, filepath.Join(h.at, below, freezerFiles[kind]))
				break
			}
		}
	}
	return files
}

// freezers finds the files that say whether a process is frozen now.
func freezers(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil // it is just ending
	}
	return freezersOf(b, hierarchies())
}

// frozen reads such files. A root group has none.
func frozen(files []string) bool {
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(b) {
			switch string(bytes.TrimSpace(line)) {
			case "FROZEN", "FREEZING", "frozen 1": // the second: others of the group are still on their way
				return true
			}
		}
	}
	return false
}
