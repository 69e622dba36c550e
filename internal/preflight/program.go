package preflight

import (
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// looker looks at one command in one root.
type looker struct {
	root
	command
	setuid map[string]bool
	report *Report
	seen   map[string]bool // libraries that were looked at, by path without links
}

// maxScripts is how many scripts the kernel starts in a row.
const maxScripts = 4

// Names of programs that decide by themselves. The words say what to do.
var (
	shells = []string{"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox"}

	// launchers exist to start another program.
	launchers = []string{"tini", "dumb-init", "docker-init", "catatonit", "gosu", "su-exec", "setpriv", "runuser", "su", "sudo", "nohup",
		"timeout", "nice", "chroot", "unshare", "supervisord", "s6-svscan", "runsvdir", "runit", "systemd", "init", "xargs", "entr"}

	// known are programs that have been seen to fork or to start threads before they serve.
	known = map[string]string{
		"node": "starts threads", "nodejs": "starts threads", "java": "starts threads", "redis-server": "starts threads",
		"memcached": "starts threads", "postgres": "forks", "sshd": "forks per connection", "mysqld": "starts threads",
		"mariadbd": "starts threads", "mongod": "starts threads", "apache2": "forks", "httpd": "forks", "php-fpm": "forks",
		"gunicorn": "forks", "uwsgi": "forks", "haproxy": "starts threads (`nbthread 1` and no -W make it one)",
		"nginx": "forks workers, unless its configuration says `master_process off; daemon off;`",
	}
)

// execs finds a shell's exec of another program, and not its redirections.
var execs = regexp.MustCompile(`(?m)(?:^|[;&|({]|\b(?:then|do|else)\b)[ \t]*exec[ \t]+["'$./A-Za-z-]`)

// program follows the way from the command's first word to what the processor runs.
func (l *looker) program() {
	found, ok := l.search(l.args[0])
	if !ok {
		l.report.add(Certain, l.args[0], "there is no such program in the container")
		return
	}
	name, script := found, ""
	for range maxScripts {
		f, info, err := l.open(name)
		if err != nil {
			l.report.add(Certain, name, "it cannot be read: %v", err)
			return
		}
		interpreter, text := shebang(f)
		if interpreter == "" {
			l.binary(name, script, f, info)
			f.Close()
			return
		}
		f.Close()
		script = text
		l.report.add(Note, name, "it is a script, run by %s", interpreter)
		if !path.IsAbs(interpreter) {
			interpreter = path.Join("/", l.cwd, interpreter)
		}
		if path.Base(interpreter) == "env" {
			l.report.add(Certain, name, "its first line is `#!%s …`, which executes another program: name the interpreter itself there, or as entry point", interpreter)
			return
		}
		if !l.regular(interpreter) {
			l.report.add(Certain, name, "its interpreter %s is not in the container", interpreter)
			return
		}
		name = interpreter
	}
	l.report.add(Certain, found, "more than %d scripts interpret each other: the kernel does not start that", maxScripts)
}

// search finds a program as the container would.
func (l *looker) search(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join("/", l.cwd) + "/" + name
		}
		return name, l.regular(name)
	}
	for _, dir := range strings.Split(variable(l.env, "PATH"), ":") {
		if !path.IsAbs(dir) {
			dir = path.Join("/", l.cwd, dir)
		}
		if at := path.Join(dir, name); l.executable(at) {
			return at, true
		}
	}
	return "", false
}

func (l *looker) executable(name string) bool {
	at, err := l.resolve(name)
	if err != nil {
		return false
	}
	info, err := l.top.Stat(at)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func variable(env []string, name string) string {
	v := ""
	for _, e := range env {
		if text, ok := strings.CutPrefix(e, name+"="); ok {
			v = text // of two the last one counts
		}
	}
	return v
}

// maxScript is how much of a script is looked at, in bytes.
const maxScript = 1 << 20

// shebang gives the interpreter and the text of a script, "" where it is none.
func shebang(f io.ReaderAt) (interpreter, text string) {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxScript))
	if err != nil || len(data) < 2 || string(data[:2]) != "#!" {
		return "", ""
	}
	line, text, _ := strings.Cut(string(data[2:]), "\n")
	if words := strings.Fields(line); len(words) > 0 {
		return words[0], text
	}
	return "", ""
}

// binary judges what the processor runs; script is the text that it interprets, if the command is a script.
func (l *looker) binary(name, script string, f io.ReaderAt, info fs.FileInfo) {
	at, err := l.resolve(name)
	if err != nil {
		at = strings.TrimPrefix(name, "/")
	}
	if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 || l.setuid[at] {
		l.report.add(Probable, name, "it changes its user or group when it starts: as a variant it does not, because the library starts it. Run the container as that user")
	}
	busybox := path.Base(at) == "busybox"
	if l.byName(path.Base(name), script, busybox) || l.byName(path.Base(at), script, busybox) {
		// What its name says is surer than what it could call.
		l.image(name, f, false)
		return
	}
	l.image(name, f, true)
}

// builtIn are words with which a command may begin that a shell carries out itself.
var builtIn = strings.Fields(": [ break case cd command continue echo eval exit export false for getopts if kill local printf pwd read readonly " +
	"return set shift test times trap true type ulimit umask unset until wait while { (")

// byName judges shells, launchers and programs that are known. Busybox, under whatever name, runs most commands in its own process.
func (l *looker) byName(base, script string, busybox bool) bool {
	words := "as entry point take the program that it starts, with that program's arguments (docker run --entrypoint PROGRAM IMAGE ARGS)"
	switch {
	case slices.Contains(shells, base):
		text, ok := script, script != ""
		if i := slices.IndexFunc(l.args, func(a string) bool { return strings.HasPrefix(a, "-") && strings.HasSuffix(a, "c") }); !ok && i > 0 && i+1 < len(l.args) {
			text, ok = l.args[i+1], true
			if words := strings.Fields(text); len(words) > 0 && !slices.Contains(builtIn, words[0]) {
				text = "exec " + text // a shell executes the last command in its own place
			}
		}
		switch {
		case base == "busybox" && path.Base(l.args[0]) != "sh" && path.Base(l.args[0]) != "ash" && script == "":
			return false // one of its other applets
		case ok && execs.MatchString(text) && busybox:
			l.report.add(Probable, l.args[0], "busybox's shell is its entry point: some of busybox's own commands it runs itself, every other is a new process or another program, which ends the group in this version: %s", words)
		case ok && execs.MatchString(text):
			l.report.add(Certain, l.args[0], "a shell is its entry point and executes another program, which ends the group in this version: %s", words)
		default:
			l.report.add(Probable, l.args[0], "a shell is its entry point, and every command that is not built in is a new process, which ends the group in this version: %s", words)
		}
		return true
	case slices.Contains(launchers, base):
		l.report.add(Certain, l.args[0], "%s starts another program, which ends the group in this version: %s, and no --init", base, words)
		return true
	case known[base] != "":
		l.report.add(Probable, l.args[0], "%s %s, which ends the group in this version: configure it as one process with one thread", base, known[base])
		return true
	}
	return false
}
