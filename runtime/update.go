package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// updateFlag says where in linux.resources the value of a flag of update goes.
type updateFlag struct {
	name string
	path string // members, joined by dots
	text bool   // the member is a string, else a whole number
	size bool   // the number may have a unit, as in 64M
}

// updateFlags is runc's and crun's list. The two for cache and memory bandwidth
// are no part of linux.resources and concern the leader only.
var updateFlags = []updateFlag{
	{name: "blkio-weight", path: "blockIO.weight"},
	{name: "cpu-period", path: "cpu.period"},
	{name: "cpu-quota", path: "cpu.quota"},
	{name: "cpu-burst", path: "cpu.burst"},
	{name: "cpu-share", path: "cpu.shares"},
	{name: "cpu-rt-period", path: "cpu.realtimePeriod"},
	{name: "cpu-rt-runtime", path: "cpu.realtimeRuntime"},
	{name: "cpu-idle", path: "cpu.idle"},
	{name: "cpuset-cpus", path: "cpu.cpus", text: true},
	{name: "cpuset-mems", path: "cpu.mems", text: true},
	{name: "kernel-memory", path: "memory.kernel", size: true},
	{name: "kernel-memory-tcp", path: "memory.kernelTCP", size: true},
	{name: "memory", path: "memory.limit", size: true},
	{name: "memory-reservation", path: "memory.reservation", size: true},
	{name: "memory-swap", path: "memory.swap", size: true},
	{name: "pids-limit", path: "pids.limit"},
	{name: "l3-cache-schema"},
	{name: "mem-bw-schema"},
}

func updateFlagNames() []string {
	names := make([]string, len(updateFlags))
	for i, f := range updateFlags {
		names[i] = f.name
	}
	return names
}

// readResources turns an update command into linux.resources. Where they come
// from stdin, stdin is replaced by a copy for the low-level runtime to read.
func readResources(inv *Invocation) (json.RawMessage, error) {
	if path, ok := inv.Flag("resources"); ok {
		var in io.Reader = os.Stdin
		if path != "-" {
			f, err := os.Open(path)
			if err != nil {
				return nil, fmt.Errorf("read the resources: %w", err)
			}
			defer f.Close()
			in = f
		}
		data, err := io.ReadAll(io.LimitReader(in, maxResources+1))
		if err != nil {
			return nil, fmt.Errorf("read the resources from %s: %w", path, err)
		}
		if len(data) > maxResources {
			return nil, fmt.Errorf("read the resources from %s: more than %d bytes", path, maxResources)
		}
		var check object
		if err := json.Unmarshal(data, &check); err != nil {
			return nil, fmt.Errorf("read the resources from %s: %w", path, err)
		}
		if path == "-" {
			return data, replaceStdin(data)
		}
		return data, nil
	}
	r := map[string]map[string]any{}
	for _, f := range updateFlags {
		v, ok := inv.Flag(f.name)
		if !ok || f.path == "" {
			continue
		}
		group, member, _ := strings.Cut(f.path, ".")
		if r[group] == nil {
			r[group] = map[string]any{}
		}
		if f.text {
			r[group][member] = v
			continue
		}
		n, err := f.number(v)
		if err != nil {
			return nil, fmt.Errorf("--%s %q: write a whole number", f.name, v)
		}
		r[group][member] = n
	}
	return encode(r)
}

var sizePattern = regexp.MustCompile(`^(-?\d+)([kmgtp]?)(?:i?b)?$`)

// number reads a value of the flag; a size has units of 1024, as runc has it.
func (f *updateFlag) number(v string) (int64, error) {
	if !f.size {
		return strconv.ParseInt(v, 10, 64)
	}
	m := sizePattern.FindStringSubmatch(strings.ToLower(v))
	if m == nil {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := 10 * (strings.Index("kmgtp", m[2]) + 1)
	if m[2] == "" {
		shift = 0
	}
	if err != nil || n<<shift>>shift != n {
		return 0, strconv.ErrRange
	}
	return n << shift, nil
}

// maxResources bounds the resources of an update, in bytes: they travel in one
// control message.
const maxResources = 512 << 10

// replaceStdin makes data what stdin says next.
func replaceStdin(data []byte) error {
	fd, err := unix.MemfdCreate("resources", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("hand the resources on: %w", err)
	}
	f := os.NewFile(uintptr(fd), "resources")
	defer f.Close()
	_, err = f.Write(data)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err = errors.Join(err, unix.Dup3(fd, 0, 0)); err != nil {
		return fmt.Errorf("hand the resources on: %w", err)
	}
	return nil
}
