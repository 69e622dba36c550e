package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/words"
)

// variant is one process of the group on this host. Its fields are the session's loop's alone; the goroutines that read and
// wait use only what is set before they start.
type variant struct {
	id    int
	slot  int // follower: its index page; leaderSlot: the leader
	bases abi.Bases

	pid    int
	pidfd  int
	child  bool // of this process: how it ended is known from the kernel
	waited bool // somebody waits for its end
	token  [abi.TokenBytes]byte
	link   *link
	tether int // this end of a socket on which nothing is ever sent
	stderr int // where its engine keeps what it writes, -1: nowhere, or not known

	pending []inbound    // what it said before its turn in the start protocol
	hello   abi.Sections // the state it was started with
	ownPID  uint32       // its number in its own PID namespace
	ready   bool
	hangup  error     // with which its control socket ended
	stop    *abi.Stop // what it said when it left
	trace   []byte    // body of its TRACE, nil without one
	outcome outcome
	exited  bool
	silent  bool // nothing more will come over its control socket
	dropped bool // no longer part of the group, which goes on
	watch   lateness
	urged   time.Time // when it last had to be made to take a signal
}

const leaderSlot = -1

func (v *variant) leads() bool { return v.slot == leaderSlot }

func (v *variant) role() string {
	if v.leads() {
		return "leader"
	}
	return "follower"
}

func (v *variant) String() string {
	if v.pid == 0 {
		return fmt.Sprintf("variant %d (%s)", v.id, v.role())
	}
	return fmt.Sprintf("variant %d (%s, process %d)", v.id, v.role(), v.pid)
}

// gone says that nothing more can come from it.
func (v *variant) gone() bool { return v.exited && v.silent }

// outcome is how a process ended.
type outcome struct {
	signal  unix.Signal // 0: it left with code
	code    int
	unknown bool // it was no child of this process, and said nothing
}

// exitCode is what a shell would show.
func (o outcome) exitCode() int {
	switch {
	case o.unknown: // only a SIGKILL takes the last word away
		return 128 + int(unix.SIGKILL)
	case o.signal != 0:
		return 128 + int(o.signal)
	}
	return o.code
}

// String is a clause whose subject is the variant.
func (o outcome) String() string {
	switch {
	case o.unknown:
		return "ended without a word"
	case o.signal != 0:
		return "was ended by " + words.Signal(uint64(o.signal))
	}
	return fmt.Sprintf("left with exit code %d", o.code)
}

func outcomeOf(status unix.WaitStatus) outcome {
	if status.Signaled() {
		return outcome{signal: status.Signal()}
	}
	return outcome{code: status.ExitStatus()}
}

// outcomeSaid is how the variant itself said that it would end.
func outcomeSaid(stop *abi.Stop) outcome {
	if stop == nil {
		return outcome{unknown: true}
	}
	return outcome{signal: unix.Signal(stop.BySignal & 0x7f), code: int(stop.Status & 0xff)}
}

// signal sends a process-directed signal; a process that is gone is no error.
func (v *variant) signal(sig unix.Signal) error {
	if v.exited || v.pidfd < 0 {
		return nil
	}
	if err := unix.PidfdSendSignal(v.pidfd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", words.Signal(uint64(sig)), v, err)
	}
	return nil
}

// release closes what this process holds of v.
func (v *variant) release() {
	if v.link != nil {
		v.link.close()
	}
	for _, fd := range []int{v.pidfd, v.tether, v.stderr} {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing of this process waits to be written there
		}
	}
	for i := range v.pending {
		v.pending[i].drop()
	}
	v.pidfd, v.tether, v.stderr = -1, -1, -1
}

// nameAs gives the program its name as it was asked for, which a path found for it is not.
func (v *variant) nameAs(argv0 string) {
	if argv0 == "" {
		return
	}
	_, rest, _ := bytes.Cut(v.hello[abi.SecArgv], []byte{0})
	v.hello[abi.SecArgv] = append(append([]byte(argv0), 0), rest...)
}

func newVariant(id, slot, place int) *variant {
	return &variant{id: id, slot: slot, pidfd: -1, tether: -1, stderr: -1, bases: chooseBases(place)}
}

// event is what the helpers of a session report to its loop.
type event struct {
	v      *variant
	in     *inbound         // a message of v
	end    error            // no more messages of v will come; io.EOF where nothing is wrong
	status *unix.WaitStatus // a change of v's process, which is a child
	left   bool             // v's process, which is no child, is gone
	peer   *peerEvent       // from another supervisor
	lost   error            // a part of monmod without which the group cannot go on is gone
	call   func()           // something to be done by the loop
}

// read hands every message of v to the loop, then the end.
func (s *session) read(v *variant) {
	for {
		in, err := v.link.receive()
		if err != nil {
			if errors.Is(err, unix.ECONNRESET) {
				err = io.EOF // it left with messages of ours unread
			}
			s.post(event{v: v, end: err})
			return
		}
		if !s.post(event{v: v, in: &in}) {
			in.drop()
			return
		}
	}
}

// wait hands every change of v's process to the loop; the last one is its end.
func (s *session) wait(v *variant) {
	if !v.child {
		waitForeign(v.pidfd)
		s.post(event{v: v, left: true})
		return
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(v.pid, &status, unix.WUNTRACED|unix.WCONTINUED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			// Only a bug can take the child from its parent; the group must not outlive it unseen.
			status = unix.WaitStatus(unix.SIGKILL)
		}
		if status.Stopped() {
			handled := make(chan struct{}) // before the next change is taken: stillStopped looks whether there is one
			if s.post(event{call: func() { s.leaderStopped(v); close(handled) }}) {
				<-handled
			}
			continue
		}
		// Not posted: the session is over; the child is reaped all the same.
		s.post(event{v: v, status: &status})
		if status.Exited() || status.Signaled() {
			return
		}
	}
}

// waitForeign returns when the process of a pidfd is gone.
func waitForeign(pidfd int) {
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(p, -1); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
