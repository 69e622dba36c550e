package kmod

import (
	"fmt"

	"github.com/monmod/monmod/internal/abi"
)

// Offence is what a task was killed for.
type Offence uint32

// Violation is the end of an armed process by the module.
type Violation struct {
	PID     int // of the process, as this process' PID namespace has it; 0: not in there
	Offence Offence
	Nr      int64  // number of the system call, -1: there was none
	IP, SP  uint64 // the program's, 0 where it made no call
}

var offences = map[Offence]string{
	abi.KmodGate:     "made a system call at the monitor's gate without being the monitor",
	abi.KmodCompat:   "made a 32-bit system call (int 0x80)",
	abi.KmodExec:     "executed a program without its monitor",
	abi.KmodUnmapped: "unmapped the monitor's memory",
	abi.KmodSignal:   "jumped into the monitor's signal handler",
	abi.KmodChild:    "made a process that could not be armed",
	abi.KmodVsyscall: "made a call by the vsyscall page",
	abi.KmodClosed:   "lost its supervisor",
	abi.KmodReset:    "was ended by the operator's `monmod kmod reset`",
}

// String is a clause whose subject is the process.
func (o Offence) String() string {
	if words := offences[o]; words != "" {
		return words
	}
	return fmt.Sprintf("did what the kernel module forbids (offence %d)", uint32(o))
}

// String is a clause whose subject is the process.
func (v Violation) String() string {
	text := v.Offence.String()
	if v.Nr >= 0 {
		text += fmt.Sprintf(", call number %d", v.Nr)
	}
	if v.IP != 0 {
		text += fmt.Sprintf(", at %#x with the stack at %#x", v.IP, v.SP)
	}
	return text
}
