package preflight

import (
	"debug/elf"
	"io"
	"path"
	"slices"
	"strings"
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

// maxLibraries bounds how many libraries are looked at.
const maxLibraries = 1000

// image judges an ELF file; of one that is known by name, imports says nothing new.
func (l *looker) image(name string, f io.ReaderAt, withImports bool) {
	head := make([]byte, 20)
	if _, err := f.ReadAt(head, 0); err != nil || string(head[:4]) != elf.ELFMAG {
		l.report.add(Certain, name, "it is neither a script nor an ELF program: the kernel does not start it")
		return
	}
	file, err := elf.NewFile(f)
	if err != nil {
		l.report.add(Certain, name, "it is a broken ELF file: %v", err)
		return
	}
	defer file.Close()
	if file.Class != elf.ELFCLASS64 || file.Machine != elf.EM_X86_64 {
		l.report.add(Certain, name, "it is a program for %s (%s), and this version monitors 64-bit x86_64 alone", file.Machine, file.Class)
		return
	}
	if file.Type == elf.ET_EXEC {
		l.report.add(Note, name, "it is non-PIE: its code has the same addresses in every variant, so an attack that needs only them is not seen. Build it with -pie")
	}
	interpreter := interpreterOf(file)
	switch {
	case file.Section(".go.buildinfo") != nil:
		l.report.add(Certain, name, "it is a Go program: its runtime starts threads before main, which ends the group in this version")
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

func interpreterOf(file *elf.File) string {
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := readBounded(p.Open(), "PT_INTERP", 4096)
			if err != nil {
				return "?" // named, and not to be found
			}
			return strings.TrimRight(string(text), "\x00")
		}
	}
	return ""
}

// symbols reports what an image imports of what this version cannot run.
func (l *looker) symbols(name string, file *elf.File, s Severity) {
	symbols, err := file.ImportedSymbols()
	if err != nil {
		l.report.add(Note, name, "its dynamic symbols cannot be read (%v): what it calls is not known", err)
		return
	}
	var can []string
	for _, group := range imports {
		var found []string
		for _, sym := range symbols {
			if slices.Contains(group.names, sym.Name) && !slices.Contains(found, sym.Name) {
				found = append(found, sym.Name)
			}
		}
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
func (l *looker) libraries(name string, file *elf.File, withImports bool) {
	type needed struct {
		by string
		of *elf.File
	}
	todo := []needed{{name, file}}
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		names, err := n.of.ImportedLibraries()
		if err != nil {
			l.report.add(Note, n.by, "the libraries that it needs cannot be read: %v", err)
		}
		for _, library := range names {
			at := l.findLibrary(library, n.by, n.of)
			if at == "" {
				l.report.add(Probable, n.by, "its library %s is not where libraries usually are in the container", library)
				continue
			}
			real, err := l.resolve(at)
			if err != nil || l.seen[real] || len(l.seen) >= maxLibraries {
				continue
			}
			l.seen[real] = true
			if isLibc(path.Base(real)) || isLibc(library) {
				continue
			}
			f, _, err := l.open(at)
			if err != nil {
				continue
			}
			defer f.Close()
			of, err := elf.NewFile(f)
			if err != nil {
				l.report.add(Probable, at, "it is a broken library: %v", err)
				continue
			}
			if withImports {
				l.symbols(at, of, Note)
			}
			todo = append(todo, needed{at, of})
		}
	}
}

func isLibc(name string) bool {
	return slices.ContainsFunc(libc, func(p string) bool { return strings.HasPrefix(name, p) })
}

// findLibrary is where a library is found, "" where it is not. A musl program's libc is its dynamic linker.
func (l *looker) findLibrary(name, by string, of *elf.File) string {
	if strings.Contains(name, "/") {
		if l.regular(name) {
			return name
		}
		return ""
	}
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := of.DynString(tag)
		if err != nil {
			continue
		}
		for _, v := range values {
			for _, dir := range strings.Split(v, ":") {
				dirs = append(dirs, strings.NewReplacer("$ORIGIN", path.Dir(by), "${ORIGIN}", path.Dir(by)).Replace(dir))
			}
		}
	}
	dirs = append(dirs, strings.Split(variable(l.env, "LD_LIBRARY_PATH"), ":")...)
	for _, dir := range append(dirs, libraryPlaces...) {
		if at := path.Join("/", dir, name); l.regular(at) {
			return at
		}
	}
	return ""
}
