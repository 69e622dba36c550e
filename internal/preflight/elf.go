package preflight

import (
	"debug/elf"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/monmod/monmod/internal/elffile"
)

// Functions by which a program leaves what this version monitors, grouped by what they do.
var imports = []struct {
	what  string
	names []string
}{
	{"start processes", []string{"fork", "vfork", "__fork", "_Fork", "posix_spawn", "posix_spawnp", "system", "popen", "daemon", "forkpty", "clone"}},
	{"start threads", []string{"pthread_create", "thrd_create", "__clone2"}},
	{"execute another program", []string{"execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "execveat"}},
	{"use io_uring", []string{"io_uring_setup", "io_uring_queue_init", "io_uring_queue_init_params", "io_uring_enter"}},
	{"change namespaces or mounts", []string{"unshare", "setns", "mount", "umount", "umount2", "pivot_root"}},
}

// libc are libraries whose functions are what others import: they call nothing by themselves.
var libc = []string{"libc.so", "ld-linux", "ld-musl", "libpthread.so", "libdl.so", "librt.so", "libm.so", "libc.musl", "libutil.so", "linux-vdso"}

// libraryPlaces is where dynamic linkers look, besides what the program itself and LD_LIBRARY_PATH say.
var libraryPlaces = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}

const (
	maxLibraries = 1000              // that are looked at
	maxWanted    = 16 * maxLibraries // that are looked for: many need the same ones
	maxPlaces    = 64                // folders that a library's path of its own may name
)

// image judges an ELF file; of one that is known by name, imports says nothing new.
func (l *looker) image(name string, f io.ReaderAt, withImports bool) {
	head := make([]byte, 20)
	if _, err := f.ReadAt(head, 0); err != nil || string(head[:4]) != elf.ELFMAG {
		l.report.add(Certain, name, "it is neither a script nor an ELF program: the kernel does not start it")
		return
	}
	file, err := elffile.Open(f)
	if foreign := (*elffile.ForeignError)(nil); errors.As(err, &foreign) {
		l.report.add(Certain, name, "it is a program for %s (%s), and this version monitors 64-bit x86_64 alone", foreign.Machine, foreign.Class)
		return
	}
	if err != nil {
		l.report.add(Certain, name, "it is a broken ELF file: %v", err)
		return
	}
	if file.Type == elf.ET_EXEC {
		l.report.add(Note, name, "it is non-PIE: its code has the same addresses in every variant, so an attack that needs only them is not seen. Build it with -pie")
	}
	interpreter, err := file.Interpreter()
	switch {
	case file.HasSection(".go.buildinfo"):
		l.report.add(Certain, name, "it is a Go program: its runtime starts threads before main, which ends the group in this version")
	case err != nil:
		l.report.add(Certain, name, "it is a broken ELF file: %v", err)
	case interpreter == "":
		l.report.add(Note, name, "it is static: what it calls cannot be told from its symbols. Try it: monmod run --variants 2 -- PROGRAM")
	case !l.regular(interpreter):
		l.report.add(Certain, name, "its dynamic linker %s is not in the container", interpreter)
	default:
		if withImports {
			l.symbols(name, file, Possible)
		}
		l.libraries(name, file, withImports)
	}
}

// symbols reports what an image imports of what this version cannot run.
func (l *looker) symbols(name string, file *elffile.File, s Severity) {
	var names []string
	for _, group := range imports {
		names = append(names, group.names...)
	}
	imported, err := file.Imported(names)
	if err != nil {
		l.report.add(Note, name, "its dynamic symbols cannot be read (%v): what it calls is not known", err)
		return
	}
	var can []string
	for _, group := range imports {
		found := slices.DeleteFunc(slices.Clone(imported), func(name string) bool { return !slices.Contains(group.names, name) })
		if len(found) > 0 {
			slices.Sort(found)
			can = append(can, group.what+" ("+strings.Join(found, ", ")+")")
		}
	}
	if len(can) > 0 {
		l.report.add(s, name, "it can %s", strings.Join(can, ", "))
	}
}

// libraries looks at what the dynamic linker would load, and what that needs, breadth first.
func (l *looker) libraries(name string, file *elffile.File, withImports bool) {
	wanted := 0
	todo := l.needed(name, file, &wanted)
	for len(todo) > 0 {
		at := todo[0]
		todo = append(todo[1:], l.library(at, withImports, &wanted)...)
	}
	if wanted > maxWanted {
		l.report.add(Note, name, "more than %d libraries are asked for: those after them were not looked at", maxWanted)
	}
}

// library looks at one library and gives the places of those that it needs.
func (l *looker) library(at string, withImports bool, wanted *int) []string {
	f, _, err := l.open(at)
	if err != nil {
		return nil
	}
	defer f.Close()
	file, err := elffile.Open(f)
	if err != nil {
		l.report.add(Probable, at, "it is a broken library: %v", err)
		return nil
	}
	if withImports {
		l.symbols(at, file, Note)
	}
	return l.needed(at, file, wanted)
}

// needed gives the places of the libraries that an image needs and that were not looked at, but for libcs.
func (l *looker) needed(by string, file *elffile.File, wanted *int) (places []string) {
	names, err := file.Dynamic(elf.DT_NEEDED)
	if err != nil {
		l.report.add(Note, by, "the libraries that it needs cannot be read: %v", err)
	}
	dirs := l.libraryDirs(by, file)
	for _, library := range names {
		if *wanted++; *wanted > maxWanted {
			break
		}
		at := l.findLibrary(library, dirs)
		if at == "" {
			l.report.add(Probable, by, "its library %s is not where libraries usually are in the container", library)
			continue
		}
		real, err := l.resolve(at)
		if err != nil || l.seen[real] || len(l.seen) >= maxLibraries {
			continue
		}
		l.seen[real] = true
		if !isLibc(path.Base(real)) && !isLibc(library) {
			places = append(places, at)
		}
	}
	return places
}

func isLibc(name string) bool {
	return slices.ContainsFunc(libc, func(p string) bool { return strings.HasPrefix(name, p) })
}

// libraryDirs is where the dynamic linker looks for what an image needs.
func (l *looker) libraryDirs(by string, file *elffile.File) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := file.Dynamic(tag)
		if err != nil {
			continue
		}
		for _, v := range values {
			for dir := range strings.SplitSeq(v, ":") {
				if len(dirs) < maxPlaces {
					dirs = append(dirs, strings.NewReplacer("$ORIGIN", path.Dir(by), "${ORIGIN}", path.Dir(by)).Replace(dir))
				}
			}
		}
	}
	dirs = append(dirs, strings.Split(variable(l.env, "LD_LIBRARY_PATH"), ":")...)
	return append(dirs, libraryPlaces...)
}

// findLibrary is where a library is found, "" where it is not. A musl program's libc is its dynamic linker.
func (l *looker) findLibrary(name string, dirs []string) string {
	if strings.Contains(name, "/") {
		if l.regular(name) {
			return name
		}
		return ""
	}
	for _, dir := range dirs {
		if at := path.Join("/", dir, name); l.regular(at) {
			return at
		}
	}
	return ""
}
