package supervisor

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/syscalls"
	"github.com/monmod/monmod/internal/words"
)

const (
	maxText  = 4096 // bytes of a variant's text that are kept
	maxNoise = 1000 // EVENT messages of one variant that are kept
	// kickSignal is reserved, and hidden from the program.
	kickSignal = unix.SIGSTKFLT
)

// handleMessage reacts to what a variant says after GO. An error says that no library speaks so.
func (s *session) handleMessage(v *variant, m abi.Message) error {
	switch m.Type {
	case abi.MsgSignal:
		return s.signalled(v, m.Body)
	case abi.MsgDiverged:
		return s.diverged(v, m.Body)
	case abi.MsgAudit:
		return s.audited(v, m.Body)
	case abi.MsgTrace:
		if v.trace == nil {
			s.peers.tell(note{Kind: noteTrace, Body: m.Body})
		}
		v.trace = m.Body
		return nil
	case abi.MsgStop:
		return s.stopSaid(v, m.Body)
	case abi.MsgFatal:
		return s.fatal(v, m.Body)
	case abi.MsgEvent:
		return s.told(v, m.Body)
	}
	return fmt.Errorf("%s has no place behind GO", abi.MessageName(m.Type))
}

func (s *session) signalled(v *variant, body []byte) error {
	var m abi.Signal
	rest, err := abi.Decode(body, &m)
	if err != nil || len(rest) != 0 {
		return fmt.Errorf("SIGNAL of %d bytes", len(body))
	}
	sig := unix.Signal(m.Signo)
	if v.leads() || m.Signo > 64 || !passable(sig) {
		return fmt.Errorf("%s of a %s, which cannot be passed on", words.Signal(uint64(m.Signo)), v.role())
	}
	s.forward(sig)
	return nil
}

func (s *session) stopSaid(v *variant, body []byte) error {
	var m abi.Stop
	rest, err := abi.Decode(body, &m)
	if err != nil || len(rest) != 0 || m.BySignal > 64 {
		return fmt.Errorf("STOP of %d bytes, signal %d", len(body), m.BySignal)
	}
	if v.stop != nil {
		return errors.New("STOP for the second time")
	}
	v.stop = &m
	return nil
}

// fatalNote is a decoded FATAL.
type fatalNote struct {
	abi.Fatal
	rowless string // the name of a call that has no row, and so no record
}

// startCode is what a group leaves with whose program has not begun.
func (f fatalNote) startCode() int {
	switch f.ExitCode {
	case exitNoProgram, exitNotRunnable:
		return int(f.ExitCode)
	}
	return ExitDivergence
}

// call names the system call concerned, empty without one.
func (f fatalNote) call() string {
	if f.Nr > 0xffff {
		return f.rowless
	}
	return syscalls.Name(uint16(f.Nr))
}

// rowlessCall is how the library says that a call has no row: unknown_call in preload/monitor.c.
var rowlessCall = regexp.MustCompile(`^the program made call number ([0-9]{1,4}) of x86_64, `)

func parseFatal(body []byte) (fatalNote, string, error) {
	var f fatalNote
	rest, err := abi.Decode(body, &f.Fatal)
	if err != nil {
		return f, "", err
	}
	text := printable(rest)
	if m := rowlessCall.FindStringSubmatch(text); m != nil && f.Nr > 0xffff {
		nr, err := strconv.Atoi(m[1])
		if err != nil {
			return f, "", err
		}
		f.rowless = syscalls.NativeName(nr)
		text = "the program made a call that this version cannot run"
	}
	if call := f.call(); call != "" {
		text += " (call " + call + ")"
	}
	if f.Error < 0 && f.Error > -4096 {
		text += fmt.Sprintf(": %v", unix.Errno(-f.Error))
	}
	return f, text, nil
}

func (s *session) fatal(v *variant, body []byte) error {
	f, text, err := parseFatal(body)
	if err != nil {
		return fmt.Errorf("FATAL: %w", err)
	}
	why := cause{code: ExitDivergence, variant: v, reason: gaveUp, text: fmt.Sprintf("%s cannot go on: %s", v, text)}
	if call := f.call(); call != "" {
		why.reason, why.subject, why.unrecorded = refusedCall, call, f.rowless != ""
	}
	s.end(why)
	return nil
}

// told takes a text for the operator.
func (s *session) told(v *variant, body []byte) error {
	s.noise[v.id]++
	switch n := s.noise[v.id]; {
	case n < maxNoise:
		s.tell("variant", v.id, printable(body))
	case n == maxNoise:
		s.tell("variant", v.id, "said too much: nothing more of it is kept")
	}
	return nil
}

// printable makes a variant's text fit for a terminal and a log: one line, nothing that moves a cursor.
func printable(b []byte) string {
	b = b[:min(len(b), maxText)]
	text := strings.TrimRight(string(b), "\x00\n ")
	return plain(text, maxText)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
