package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what is read of a process and its files.
const (
	maxMapsBytes = 8 << 20
	maxMappings  = 16384
	maxModules   = 64

	// Files may lie on a file system that the process itself serves, and a report must not wait for it.
	fileTime = 500 * time.Millisecond // to open one, and to read the list
	mapsTime = 3 * time.Second        // for all that one Maps does; addresses named later get no symbols
)

// Maps is the address space of a process at one time, with its executable files held open, so that addresses can still be
// named when the process is gone. The zero Maps names nothing. Not for several goroutines at once.
type Maps struct {
	mappings []mapping
	modules  map[module]*symbols
	spent    time.Duration // of mapsTime
}

// mapping is one line of /proc/PID/maps.
type mapping struct {
	start, end, offset uint64
	exec               bool
	module             module
}

// module is a mapped file, or a name in brackets with neither device nor inode.
type module struct {
	device string // as in maps: 08:01
	inode  uint64
	path   string
}

func (m module) isFile() bool { return m.inode != 0 && strings.HasPrefix(m.path, "/") }

func (m module) name() string {
	if !m.isFile() {
		return m.path
	}
	return path.Base(strings.TrimSuffix(m.path, " (deleted)"))
}

// Capture takes down where the files and stacks of a process lie. It is to be called while the process exists and cannot
// be replaced by another of its number: the caller holds its pidfd or is its parent. The files come from
// /proc/PID/map_files or are looked up below /proc/PID/root, never outside of it; one that cannot be had in time is named
// without symbols. The error says that even the list could not be read; the Maps is then empty and usable.
// Close gives the files back.
func Capture(pid int) (*Maps, error) {
	m := &Maps{modules: map[module]*symbols{}}
	list := within(fileTime, func() mapsList { return readMaps(pid) }, func(mapsList) {})
	if list == (mapsList{}) {
		list.err = errors.New("it took too long")
	}
	if list.err != nil {
		return m, fmt.Errorf("reading the memory map of process %d: %w", pid, list.err)
	}
	m.mappings = *list.mappings
	for _, mp := range m.mappings {
		if !mp.exec || !mp.module.isFile() || m.modules[mp.module] != nil || len(m.modules) == maxModules {
			continue
		}
		m.timed(func() {
			file := within(fileTime, func() *os.File { return openMapped(pid, mp) }, func(f *os.File) { f.Close() })
			m.modules[mp.module] = &symbols{file: file}
		})
	}
	return m, nil
}

// timed does work while there is time left for it.
func (m *Maps) timed(work func()) {
	if m.spent < mapsTime {
		start := time.Now()
		work()
		m.spent += time.Since(start)
	}
}

type mapsList struct {
	mappings *[]mapping
	err      error
}

func readMaps(pid int) mapsList {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return mapsList{err: err}
	}
	defer f.Close()
	mappings, err := parseMaps(io.LimitReader(f, maxMapsBytes))
	return mapsList{&mappings, err}
}

// Close closes the files of a Capture.
func (m *Maps) Close() {
	for _, s := range m.modules {
		s.close()
	}
}

// find gives the mapping at an address.
func (m *Maps) find(addr uint64) (mapping, bool) {
	if m == nil {
		return mapping{}, false
	}
	for _, mp := range m.mappings {
		if addr >= mp.start && addr < mp.end {
			return mp, true
		}
	}
	return mapping{}, false
}

// base gives the lowest address of a module.
func (m *Maps) base(mod module) uint64 {
	for _, mp := range m.mappings {
		if mp.module == mod {
			return mp.start
		}
	}
	return 0
}

func parseMaps(r io.Reader) ([]mapping, error) {
	var all []mapping
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		mp, err := parseMapping(lines.Text())
		if err != nil {
			return all, err
		}
		if all = append(all, mp); len(all) == maxMappings {
			break
		}
	}
	nameCode(all)
	return all, lines.Err()
}

// nameCode gives code without a file the one whose mapping it goes on from: where a protection key guards the monitor, code
// is a private copy (preload/code.h), and lies in its image between the file's own mappings.
func nameCode(all []mapping) {
	for i := range all {
		mp := &all[i]
		if !mp.exec || mp.module.path != "" {
			continue
		}
		if i > 0 && all[i-1].end == mp.start && all[i-1].module.isFile() {
			mp.module, mp.offset = all[i-1].module, all[i-1].offset+all[i-1].end-all[i-1].start
		} else if i+1 < len(all) && all[i+1].start == mp.end && all[i+1].module.isFile() && all[i+1].offset >= mp.end-mp.start {
			mp.module, mp.offset = all[i+1].module, all[i+1].offset-(mp.end-mp.start)
		}
	}
}

func parseMapping(line string) (mapping, error) {
	// start-end perm offset device inode, spaces, path
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 5 || len(fields[1]) != 4 {
		return mapping{}, fmt.Errorf("a line that is no mapping: %.80q", line)
	}
	from, to, _ := strings.Cut(fields[0], "-")
	var errs [4]error
	var mp mapping
	mp.start, errs[0] = strconv.ParseUint(from, 16, 64)
	mp.end, errs[1] = strconv.ParseUint(to, 16, 64)
	mp.offset, errs[2] = strconv.ParseUint(fields[2], 16, 64)
	mp.module.inode, errs[3] = strconv.ParseUint(fields[4], 10, 64)
	if errs != [4]error{} || mp.end <= mp.start {
		return mapping{}, fmt.Errorf("a line that is no mapping: %.80q", line)
	}
	mp.exec = fields[1][2] == 'x'
	mp.module.device = fields[3]
	if len(fields) == 6 {
		mp.module.path = strings.ReplaceAll(strings.TrimLeft(fields[5], " "), `\012`, "\n")
	}
	return mp, nil
}

// openMapped opens the file behind a mapping, nil where that cannot be done. The kernel's own handle of the mapping is exact,
// deleted files included, but for root only; else the path is looked up inside the process's root.
func openMapped(pid int, mp mapping) *os.File {
	handle := fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, mp.start, mp.end)
	fd, err := unix.Open(handle, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		if fd, err = openInRoot(pid, mp.module.path); err != nil {
			return nil
		}
	}
	defer unix.Close(fd)
	// Only now is it known to be a plain file: opening a device or a fifo for reading could have an effect.
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Ino != mp.module.inode || st.Size > maxELFBytes {
		return nil
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	return f
}

func openInRoot(pid int, name string) (int, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	return unix.Openat2(root, name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// within runs work that may hang on a file system under someone else's control, and gives the zero value when it takes too
// long; what comes later is given to drop. The work goes on meanwhile: it must be bounded by itself, in memory as in time.
func within[T any](d time.Duration, work func() T, drop func(T)) T {
	done := make(chan T)
	gone := make(chan struct{})
	go func() {
		result := work()
		select {
		case done <- result:
		case <-gone:
			drop(result)
		}
	}()
	select {
	case result := <-done:
		return result
	case <-time.After(d):
		close(gone)
		var none T
		return none
	}
}
