package runtime

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
)

// neededCall is a system call that the monitor itself makes in the program's
// process; args are the values it makes it with, by position, where a profile
// may depend on them.
type neededCall struct {
	name  string
	args  map[uint]uint64
	shown string // args for a person
	why   string
}

// neededCalls is the whole list. A profile that denies one of them would end
// the program in the middle of the monitor.
var neededCalls = []neededCall{
	{name: "prctl", args: map[uint]uint64{0: unix.PR_SET_SYSCALL_USER_DISPATCH}, shown: "(PR_SET_SYSCALL_USER_DISPATCH)", why: "arms the interception"},
	{name: "rt_sigaction", why: "takes every signal"},
	{name: "rt_sigprocmask", why: "holds signals back until a rendezvous"},
	{name: "rt_sigreturn", why: "returns into the program"},
	{name: "sigaltstack", why: "keeps its own stack apart"},
	{name: "tgkill", why: "gives the program its signals"},
	{name: "clock_gettime", why: "sees that a signal does not wait for ever"},
	{name: "getpid", why: "sends signals to itself"},
	{name: "gettid", why: "sends signals to itself"},
	{name: "mmap", why: "maps the arena and the program"},
	{name: "mprotect", why: "seals its own memory"},
	{name: "munmap", why: "takes away what the launcher used"},
	{name: "mremap", why: "moves the program's memory"},
	{name: "memfd_create", why: "makes the memory that it shares"},
	{name: "futex", why: "waits for the other variants"},
	{name: "nanosleep", why: "waits for the other variants"},
	{name: "sched_yield", why: "waits for the other variants"},
	{name: "timer_create", why: "sees that a signal does not wait for ever"},
	{name: "timer_settime", why: "sees that a signal does not wait for ever"},
	{name: "socket", args: map[uint]uint64{0: unix.AF_UNIX}, shown: "(AF_UNIX)", why: "reaches the supervisor"},
	{name: "connect", why: "reaches the supervisor"},
	{name: "socketpair", args: map[uint]uint64{0: unix.AF_UNIX}, shown: "(AF_UNIX)", why: "keeps the folder by which it finds files again"},
	{name: "sendto", why: "talks to the supervisor"},
	{name: "sendmsg", why: "talks to the supervisor"},
	{name: "recvmsg", why: "gets the arena from the supervisor"},
	{name: "poll", why: "waits for the supervisor"},
	{name: "open", why: "opens the program"},
	{name: "openat", why: "opens the program"},
	{name: "read", why: "reads files before they are compared"},
	{name: "pread64", why: "reads the program's headers"},
	{name: "write", why: "says on stderr why it ends"},
	{name: "lseek", why: "follows the leader's place in a file"},
	{name: "fstat", why: "examines what it opened"},
	{name: "fstatfs", why: "examines what it opened"},
	{name: "faccessat", why: "examines the program"},
	{name: "readlinkat", why: "finds the program's path"},
	{name: "close", why: "closes what it opened"},
	{name: "close_range", why: "makes the table of descriptors the leader's"},
	{name: "fcntl", why: "moves its descriptors out of the way and sets the tether"},
	{name: "dup3", why: "puts placeholders at the leader's numbers"},
	{name: "getcwd", why: "makes the state at the start equal"},
	{name: "chdir", why: "makes the state at the start equal"},
	{name: "umask", why: "makes the state at the start equal"},
	{name: "prlimit64", why: "makes the state at the start equal"},
	{name: "personality", args: map[uint]uint64{0: 0xffffffff}, shown: "(0xffffffff)", why: "compares the state at the start"},
	{name: "getresuid", why: "compares the state at the start"},
	{name: "getresgid", why: "compares the state at the start"},
	{name: "getgroups", why: "compares the state at the start"},
	{name: "getrandom", why: "seeds the program as the kernel does"},
	{name: "execve", why: "is started"},
	{name: "exit_group", why: "ends a variant"},
}

// moduleCalls are those that it makes besides where the kernel module is the
// back end.
var moduleCalls = []neededCall{
	{name: "ioctl", args: map[uint]uint64{1: abi.KmodIocArm}, shown: "(MM_KMOD_IOC_ARM)", why: "arms itself with the kernel module (backend sud does without)"},
	{name: "pkey_mprotect", why: "closes its memory to the program (backend sud does without)"},
}

// verdict says whether a rule of a profile matches a call.
type verdict int

const (
	no verdict = iota
	maybe
	yes
)

// checkSeccomp returns an error that names the first call which the monitor
// needs and the profile does not allow for certain.
func checkSeccomp(profile *specs.LinuxSeccomp) error { return checkCalls(profile, neededCalls) }

func checkCalls(profile *specs.LinuxSeccomp, calls []neededCall) error {
	if profile == nil {
		return nil
	}
	for _, c := range calls {
		if action, ok := c.allowed(profile); !ok {
			how := "denies"
			switch action {
			case specs.ActNotify:
				how = "hands to an agent"
			case specs.ActTrace:
				how = "hands to a tracer"
			}
			return fmt.Errorf("the container's seccomp profile %s the system call %s%s, with which the monitor %s: allow it in the profile, or use the engine's default profile",
				how, c.name, c.shown, c.why)
		}
	}
	return nil
}

// allowed evaluates the profile for one call, and where it is not allowed
// returns the action that would be taken.
func (c neededCall) allowed(profile *specs.LinuxSeccomp) (specs.LinuxSeccompAction, bool) {
	result, matched := profile.DefaultAction, false
	for _, rule := range profile.Syscalls {
		if !slices.Contains(rule.Names, c.name) || rule.Action == profile.DefaultAction {
			continue
		}
		switch v := c.matches(rule.Args); {
		case v == no:
		case !allows(rule.Action):
			// Two rules for one call: whichever the library prefers, this one
			// may be it.
			return rule.Action, false
		case v == yes:
			result, matched = rule.Action, true
		}
	}
	if !matched {
		result = profile.DefaultAction
	}
	return result, allows(result)
}

func allows(a specs.LinuxSeccompAction) bool { return a == specs.ActAllow || a == specs.ActLog }

// matches evaluates a rule's conditions: all must hold, unless two of them are
// on the same argument, when any is enough (as runc has it).
func (c neededCall) matches(conditions []specs.LinuxSeccompArg) verdict {
	if len(conditions) == 0 {
		return yes
	}
	seen := map[uint]bool{}
	anyOf := false
	results := make([]verdict, len(conditions))
	for i, cond := range conditions {
		anyOf = anyOf || seen[cond.Index]
		seen[cond.Index] = true
		results[i] = c.holds(cond)
	}
	if anyOf {
		return slices.Max(results)
	}
	return slices.Min(results)
}

func (c neededCall) holds(cond specs.LinuxSeccompArg) verdict {
	v, ok := c.args[cond.Index]
	if !ok {
		return maybe
	}
	holds := false
	switch cond.Op {
	case specs.OpNotEqual:
		holds = v != cond.Value
	case specs.OpLessThan:
		holds = v < cond.Value
	case specs.OpLessEqual:
		holds = v <= cond.Value
	case specs.OpEqualTo:
		holds = v == cond.Value
	case specs.OpGreaterEqual:
		holds = v >= cond.Value
	case specs.OpGreaterThan:
		holds = v > cond.Value
	case specs.OpMaskedEqual:
		holds = v&cond.Value == cond.ValueTwo
	default:
		return maybe
	}
	if holds {
		return yes
	}
	return no
}
