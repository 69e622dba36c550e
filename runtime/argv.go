package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// arity says whether a flag takes a value.
type arity bool

const (
	alone arity = false
	value arity = true
)

// flagTable names the flags of one place on the command line, without dashes,
// and what they are called in Invocation: short forms share their long name.
type flagTable map[string]struct {
	arity arity
	name  string
}

func flags(parts ...flagTable) flagTable {
	all := flagTable{}
	for _, p := range parts {
		for k, v := range p {
			all[k] = v
		}
	}
	return all
}

// of makes a table from names such as "bundle b": long form, then short ones.
func of(a arity, names ...string) flagTable {
	t := flagTable{}
	for _, line := range names {
		words := strings.Fields(line)
		for _, w := range words {
			t[w] = struct {
				arity arity
				name  string
			}{a, words[0]}
		}
	}
	return t
}

// globalFlags are those of runc and crun before the command, and the two of
// this program (ownFlags), which no low-level runtime gets to see.
var globalFlags = flags(
	of(value, "log", "log-format", "root", "criu", "rootless", "cgroup-manager", "log-level", "low-level"),
	of(alone, "debug", "systemd-cgroup", "help h ?", "version v V", "usage", "require"),
)

var ownFlags = []string{"low-level", "require"}

var createFlags = flags(
	of(value, "bundle b", "config f", "console-socket", "pid-file", "pidfd-socket", "preserve-fds"),
	of(alone, "no-pivot", "no-new-keyring", "no-subreaper", "help h", "usage"),
)

// command describes what follows one command word.
type command struct {
	flags flagTable
	// inOrder: the first word that is no flag ends the flags. Elsewhere flags
	// may follow the container's ID.
	inOrder bool
}

// commands are those in which the wrapper has a part, or whose container it must
// know; all others are passed on.
var commands = map[string]command{
	"create": {flags: createFlags},
	"run":    {flags: flags(createFlags, of(alone, "detach d", "keep"))},
	"restore": {flags: flags(createFlags,
		of(value, "image-path", "work-path", "manage-cgroups-mode", "empty-ns", "lsm-profile", "lsm-mount-context"),
		of(alone, "detach d", "tcp-established", "ext-unix-sk", "shell-job", "file-locks", "auto-dedup", "lazy-pages"))},
	"start":  {flags: of(alone, "help h", "usage")},
	"kill":   {flags: of(alone, "all a", "regex r", "help h", "usage")},
	"delete": {flags: of(alone, "force f", "regex r", "help h", "usage")},
	"pause":  {flags: of(alone, "help h", "usage")},
	"resume": {flags: of(alone, "help h", "usage")},
	"exec": {inOrder: true, flags: flags(
		of(value, "console-socket", "pidfd-socket", "cwd", "env e", "user u", "additional-gids g", "process p", "pid-file", "process-label",
			"apparmor", "cap c", "preserve-fds", "cgroup"),
		of(alone, "tty t", "detach d", "no-new-privs", "ignore-paused", "no-subreaper", "help h", "usage"))},
	"update": {flags: flags(
		of(value, updateFlagNames()...),
		of(value, "resources r"),
		of(alone, "help h", "usage"))},
	"checkpoint": {flags: flags(
		of(value, "image-path", "work-path", "parent-path", "status-fd", "page-server", "manage-cgroups-mode", "empty-ns"),
		of(alone, "leave-running", "tcp-established", "ext-unix-sk", "shell-job", "lazy-pages", "file-locks", "pre-dump", "auto-dedup", "help h", "usage"))},
	"state":    {flags: of(alone, "all a", "regex r", "help h", "usage")},
	"ps":       {inOrder: true, flags: flags(of(value, "format f"), of(alone, "help h", "usage"))},
	"events":   {flags: flags(of(value, "interval"), of(alone, "stats", "help h", "usage"))},
	"features": {flags: of(alone, "help h", "usage")},
}

// creating are the commands that make a container.
var creating = []string{"create", "run", "restore"}

// Invocation is a command line that was read once.
type Invocation struct {
	// Args are the words for the low-level runtime: all but this program's own.
	Args     []string
	Require  bool   // --require
	LowLevel string // --low-level, or empty

	// Command is the first word that is no flag; empty where there is none.
	Command string
	// Container is the first operand of a command that has a table, Operands
	// what follows it.
	Container string
	Operands  []string
	// Help: the low-level runtime only prints something.
	Help bool
	// Doubt says why the words may mean something else to the low-level
	// runtime; empty where they are understood.
	Doubt string

	// nameless: a command that makes a container names none, and all its words
	// are understood.
	nameless bool

	global, local map[string][]string
}

// Global returns the last value of a flag before the command.
func (i *Invocation) Global(name string) (string, bool) { return last(i.global[name]) }

// Flag returns the last value of a flag of the command.
func (i *Invocation) Flag(name string) (string, bool) { return last(i.local[name]) }

// Has reports whether a flag of the command is given.
func (i *Invocation) Has(name string) bool { _, ok := i.local[name]; return ok }

func last(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// Parse reads args, the words after the program's name. The only errors are
// misused flags of this program's own; what it does not know it leaves to the
// low-level runtime and says so in Doubt.
func Parse(args []string) (*Invocation, error) {
	inv := &Invocation{Args: []string{}, global: map[string][]string{}, local: map[string][]string{}}
	rest, err := inv.parseGlobal(args)
	if err != nil || len(rest) == 0 {
		return inv, err
	}
	inv.Command = rest[0]
	inv.Args = append(inv.Args, rest...)
	if strings.HasPrefix(inv.Command, "-") {
		// "--" ends the flags: the command that is executed stands behind it.
		inv.doubt("%s before the command is not known", inv.Command)
	}
	if c, ok := commands[inv.Command]; ok {
		inv.parseLocal(c, rest[1:])
	}
	inv.Help = asksHelp(slices.Concat(inv.local["help"], inv.local["usage"]))
	return inv, nil
}

// asksHelp reports whether the values of all flags that ask for help do so: with
// --help=false the command is executed.
func asksHelp(values []string) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool {
		yes, err := strconv.ParseBool(v)
		return v != "" && (err != nil || !yes)
	})
}

// parseGlobal reads the flags before the command and returns the rest.
func (i *Invocation) parseGlobal(args []string) ([]string, error) {
	for len(args) > 0 {
		name, text, hasText, isFlag := split(args[0])
		if !isFlag {
			return args, nil
		}
		f, known := globalFlags[name]
		words := args[:1]
		switch {
		case !known:
			i.doubt("the global flag %s is not known", args[0])
		case f.arity == value && !hasText:
			if len(args) < 2 {
				i.doubt("the global flag %s has no value", args[0])
				break
			}
			words, text = args[:2], args[1]
		}
		own := known && slices.Contains(ownFlags, f.name)
		if own {
			if err := i.setOwn(f.name, text, hasText, len(words)); err != nil {
				return nil, err
			}
		} else {
			i.Args = append(i.Args, words...)
		}
		if known {
			i.global[f.name] = append(i.global[f.name], text)
		}
		args = args[len(words):]
	}
	return nil, nil
}

func (i *Invocation) setOwn(name, text string, hasText bool, words int) error {
	switch {
	case name == "require" && hasText:
		return errors.New("--require takes no value: write --require alone")
	case name == "require":
		i.Require = true
	case text == "" || words == 1 && !hasText:
		return errors.New("--low-level has no value: name the runtime, such as --low-level /usr/sbin/runc")
	default:
		i.LowLevel = text
	}
	return nil
}

// parseLocal reads flags and operands of a command.
func (i *Invocation) parseLocal(c command, args []string) {
	var operands []string
	for len(args) > 0 {
		name, text, hasText, isFlag := split(args[0])
		if args[0] == "--" {
			operands = append(operands, args[1:]...)
			break
		}
		if !isFlag {
			operands = append(operands, args[0])
			if c.inOrder {
				operands = append(operands, args[1:]...)
				break
			}
			args = args[1:]
			continue
		}
		f, known := c.flags[name]
		used := 1
		switch {
		case !known:
			i.doubt("the flag %s of %s is not known", args[0], i.Command)
		case f.arity == value && !hasText:
			if len(args) < 2 {
				i.doubt("the flag %s of %s has no value", args[0], i.Command)
				break
			}
			used, text = 2, args[1]
		}
		if known {
			i.local[f.name] = append(i.local[f.name], text)
		}
		args = args[used:]
	}
	if len(operands) > 0 {
		i.Container, i.Operands = operands[0], operands[1:]
	}
	i.nameless = slices.Contains(creating, i.Command) && len(operands) == 0 && i.Doubt == ""
	if slices.Contains(creating, i.Command) && len(operands) != 1 {
		i.doubt("%s takes one container ID and got %d", i.Command, len(operands))
	}
}

func (i *Invocation) doubt(format string, args ...any) {
	if i.Doubt == "" {
		i.Doubt = fmt.Sprintf(format, args...)
	}
}

// split takes a flag apart as runc does: one dash or two, a value after "=".
func split(word string) (name, text string, hasText, isFlag bool) {
	name, ok := strings.CutPrefix(word, "-")
	if !ok || name == "" || word == "--" {
		return "", "", false, false
	}
	name = strings.TrimPrefix(name, "-")
	name, text, hasText = strings.Cut(name, "=")
	return name, text, hasText, true
}
