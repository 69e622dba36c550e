package supervisor

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// virtualTypes are file systems that hold no program's files: what lies there is made by the kernel or by an engine, anew for
// each container. Memory counts as such only where it was mounted for the container, see fileSystem.
var virtualTypes = map[string]bool{
	"proc": true, "sysfs": true, "devtmpfs": true, "devpts": true, "tmpfs": true, "ramfs": true, "mqueue": true, "hugetlbfs": true,
	"cgroup": true, "cgroup2": true, "securityfs": true, "debugfs": true, "tracefs": true, "configfs": true, "fusectl": true,
	"binfmt_misc": true, "bpf": true, "pstore": true, "efivarfs": true, "autofs": true, "rpc_pipefs": true, "nsfs": true,
}

// mounts gives the MOUNTS section: how files are handled where START_FS_SHARED alone would be wrong.
//
// Where files are shared, a file system that some variant does not see is the leader's alone. Where they are not, every real
// file system is each variant's own.
func (s *session) mounts() ([]byte, error) {
	var all []map[uint64]fileSystem
	for _, v := range s.variants {
		m, err := readMounts(v.pid)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	var b []byte
	add := func(dev uint64, class uint32) { b = abi.Append(b, abi.Mount{Dev: dev, Klass: class}) }
	for dev, of := range all[0] {
		switch {
		case !s.sharedFiles() && of.virtual():
			add(dev, abi.FdLeader)
		case !s.sharedFiles():
			add(dev, abi.FdOwn)
		case !everywhere(dev, all):
			add(dev, abi.FdLeader)
		}
	}
	return b, nil
}

func everywhere(dev uint64, all []map[uint64]fileSystem) bool {
	for _, m := range all {
		if _, there := m[dev]; !there {
			return false
		}
	}
	return true
}

// fileSystem is what a process sees of one file system.
type fileSystem struct {
	kind  string
	whole bool // it is mounted as a whole, and not as the process's root: a bound folder of the host's is not
}

// virtual says whether nobody's files lie there. A host may keep containers and volumes in memory.
func (f fileSystem) virtual() bool {
	return virtualTypes[f.kind] && (f.whole || f.kind != "tmpfs" && f.kind != "ramfs")
}

// readMounts gives a process's file systems by device, as in st_dev.
func readMounts(pid int) (map[uint64]fileSystem, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, fmt.Errorf("see which file systems process %d has: %w", pid, err)
	}
	return parseMounts(b)
}

// parseMounts takes the device (third field), what of it is mounted where (fourth and fifth) and the type (first field behind
// the lone dash) of every line.
func parseMounts(b []byte) (map[uint64]fileSystem, error) {
	out := make(map[uint64]fileSystem)
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		before, after, dash := strings.Cut(lines.Text(), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !dash || len(fields) < 5 || len(rest) == 0 {
			return nil, fmt.Errorf("see which file systems a process has: %.100q is not a line of mountinfo", lines.Text())
		}
		major, minor, _ := strings.Cut(fields[2], ":")
		ma, err := strconv.ParseUint(major, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("see which file systems a process has: device %q", fields[2])
		}
		mi, err := strconv.ParseUint(minor, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("see which file systems a process has: device %q", fields[2])
		}
		dev := unix.Mkdev(uint32(ma), uint32(mi))
		whole := fields[3] == "/" && fields[4] != "/"
		out[dev] = fileSystem{kind: rest[0], whole: whole || out[dev].whole}
	}
	return out, lines.Err()
}
