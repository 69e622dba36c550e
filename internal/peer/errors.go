package peer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/monmod/monmod/internal/words"
)

// ErrClosed is what Send and Recv return after this side said goodbye.
var ErrClosed = errors.New("the session with this peer was closed by this side")

// Difference is one thing in which two variants do not agree.
type Difference struct {
	Name         string
	Ours, Theirs string
	Remedy       string // what a person does about it; may be empty
}

// DifferenceError says that a peer was reached and authenticated, and that it does not run what this variant runs. Both sides get one.
type DifferenceError struct {
	Self, Peer  uint16
	Differences []Difference
}

func (e *DifferenceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "variants %d and %d do not fit together", e.Self, e.Peer)
	for i, d := range e.Differences {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		ours, theirs := excerpts(d.Ours, d.Theirs)
		fmt.Fprintf(&b, "%s%s: variant %d has %s, variant %d has %s", sep, words.Printable(d.Name), e.Self, ours, e.Peer, theirs)
		if d.Remedy != "" {
			fmt.Fprintf(&b, " (%s)", words.Printable(d.Remedy))
		}
	}
	return b.String()
}

// VersionError says that the peer speaks another version of the protocol.
type VersionError struct {
	Peer         uint16 // 0 when the caller had not said who it is
	Remote       string
	Ours, Theirs uint16
}

func (e *VersionError) Error() string {
	who := "a supervisor"
	if e.Peer != 0 {
		who = fmt.Sprintf("variant %d", e.Peer)
	}
	return fmt.Sprintf("%s at %s speaks version %d of monmod's peer protocol, this one version %d: install the same monmod for all variants",
		who, e.Remote, e.Theirs, e.Ours)
}

// RefusedError says that the peer was reached and does not take this variant in.
type RefusedError struct {
	Peer   uint16
	Remote string
	Reason string // the peer's words
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("variant %d at %s refuses this variant: %s", e.Peer, e.Remote, words.Printable(e.Reason))
}

// Missing is one peer that had no session when time was up.
type Missing struct {
	ID     uint16
	Where  string // how it was to be reached
	Reason string // the last thing that went wrong; may be empty
}

// AbsentError says which peers did not appear within the start time-out.
type AbsentError struct {
	After time.Duration
	Peers []Missing
}

func (e *AbsentError) Error() string {
	var parts []string
	for _, p := range e.Peers {
		s := fmt.Sprintf("variant %d (%s)", p.ID, p.Where)
		if p.Reason != "" {
			s += ": " + p.Reason
		}
		parts = append(parts, s)
	}
	return fmt.Sprintf("no session within %v with %s: start every variant of the group, each once, and see its own messages",
		e.After.Round(time.Millisecond), strings.Join(parts, "; "))
}

// LossError says that an established session ended without a goodbye.
type LossError struct {
	Peer   uint16
	Cause  string        // in words
	Silent time.Duration // how long nothing had come from the peer when the loss was noticed
	Err    error         // the system's error; nil for silence
}

func (e *LossError) Error() string {
	return fmt.Sprintf("variant %d was lost: %s (last heard of %v ago)", e.Peer, e.Cause, e.Silent.Round(time.Millisecond))
}

func (e *LossError) Unwrap() error { return e.Err }

// ByeError says that the peer ended the session in good order.
type ByeError struct {
	Peer uint16
	Code uint8  // the exit code it ends with
	Text string // its reason
}

func (e *ByeError) Error() string {
	text := words.Printable(e.Text)
	if words.About(int(e.Peer), text) {
		return fmt.Sprintf("%s (its supervisor ended with code %d)", text, e.Code)
	}
	return fmt.Sprintf("variant %d ended with code %d: %s", e.Peer, e.Code, text)
}

// final tells the errors that trying again cannot cure from those that a later attempt, or another caller, can.
func final(err error) bool {
	var d *DifferenceError
	var v *VersionError
	var r *RefusedError
	return errors.As(err, &d) || errors.As(err, &v) || errors.As(err, &r)
}

// excerptLen is how much of a long value an error shows.
const excerptLen = 160

// excerpts quotes two values, long ones around the first byte in which they differ.
func excerpts(a, b string) (string, string) {
	if len(a) <= excerptLen && len(b) <= excerptLen {
		return fmt.Sprintf("%q", a), fmt.Sprintf("%q", b)
	}
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	from := max(0, at-excerptLen/4)
	cut := func(s string) string {
		end := min(len(s), from+excerptLen)
		part := fmt.Sprintf("%q", s[min(from, len(s)):end])
		if from > 0 {
			part = "…" + part
		}
		if end < len(s) {
			part += "…"
		}
		return fmt.Sprintf("%s (%d bytes, differing at byte %d)", part, len(s), at)
	}
	return cut(a), cut(b)
}
