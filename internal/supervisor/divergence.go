package supervisor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/report"
	"github.com/monmod/monmod/internal/syscalls"
)

// maxAudits bounds the reports of one session: a program that differs in every call must not fill a disk.
const maxAudits = 256

// diverged takes the message of a variant whose call is not the leader's.
func (s *session) diverged(v *variant, body []byte) error {
	if _, _, err := abi.ParseCase(body); err != nil {
		return fmt.Errorf("DIVERGED: %w", err)
	}
	c, _ := report.DecodeCase(decoder{}, body) // what makes no sense in a record does not make the divergence go away
	why := cause{code: ExitDivergence, variant: v, reason: c.Reason, subject: subjectOf(v, &c), body: body, text: fmt.Sprintf("%s diverged at call %d", v, c.Seq)}
	if why.reason == "" {
		why.reason = report.OtherCall
	}
	if s.group.OnDivergence == config.Audit && !v.leads() {
		s.auditEnds(v, why)
		return nil
	}
	s.end(why)
	return nil
}

// auditEnds takes a follower out that made another call: there is nothing of the leader's that it could go on with.
func (s *session) auditEnds(v *variant, why cause) {
	v.dropped = true
	s.arena.drop(v.slot)
	if err := v.signal(unix.SIGKILL); err != nil {
		s.log.Warn(err)
	}
	s.arena.wakeLeader(v.slot)
	s.peers.tell(note{Kind: noteDropped})
	s.tell("audit_ended", v.id, why.text+": it ends, the others go on, and it is no longer audited")
	s.writeReport(s.newReport(why, report.VariantEnded))
}

// audited takes a difference that the group only wants to know of.
func (s *session) audited(v *variant, body []byte) error {
	if s.group.OnDivergence != config.Audit {
		return errors.New("AUDIT in a group that does not audit")
	}
	if _, _, err := abi.ParseCase(body); err != nil {
		return fmt.Errorf("AUDIT: %w", err)
	}
	c, _ := report.DecodeCase(decoder{}, body)
	s.audits++
	if s.audits > maxAudits {
		return nil
	}
	s.tell("audit", v.id, fmt.Sprintf("call %d differs and goes on with the leader's arguments", c.Seq))
	if s.audits == maxAudits {
		s.tell("audit", 0, fmt.Sprintf("%d differences: no more of them are kept", maxAudits))
	}
	s.writeReport(s.newReport(cause{variant: v, reason: c.Reason, subject: subjectOf(v, &c), body: body}, report.Recorded))
	return nil
}

// decoder names calls for reports.
type decoder struct{}

func (decoder) Name(nr uint16) string             { return syscalls.Name(nr) }
func (decoder) ArgName(nr uint16, arg int) string { return syscalls.ArgName(nr, arg) }
func (decoder) ArgKind(nr uint16, arg int) string { return syscalls.ArgKind(nr, arg) }

// newReport fills a report with what this host knows.
func (s *session) newReport(why cause, done report.Response) *report.Report {
	r := &report.Report{
		Time: time.Now(), MonmodVersion: Version, Kernel: kernelRelease(), Group: s.group.Name, Policy: string(s.group.Policy),
		Backend: string(s.group.Backend), OnDivergence: string(s.group.OnDivergence), Response: done, ExitCode: why.code,
		Reason: why.reason, Subject: why.subject, Detail: why.text, Program: s.program, Args: s.args,
		Variant: s.group.Leader, Leader: report.Side{Variant: s.group.Leader}, Events: s.journal.recent(),
	}
	if r.Reason == "" {
		r.Reason = report.OtherCall
	}
	if why.variant == nil {
		why.variant = s.here(why.who)
	}
	var follower *variant
	switch {
	case why.remote != 0 && (why.variant == nil || why.variant.leads()):
		r.Variant = why.remote
		if why.remote != s.group.Leader {
			r.Other.Variant = why.remote
			s.fillRemote(&r.Other, why.remote)
		}
	case why.variant != nil:
		r.Variant = why.variant.id
		if !why.variant.leads() {
			follower = why.variant
			r.Other.Variant = follower.id
		}
	}
	if why.who != 0 {
		r.Variant = why.who
	}
	if leader := s.leader(); leader != nil {
		s.fillSide(&r.Leader, leader)
	} else {
		s.fillRemote(&r.Leader, s.group.Leader)
	}
	if follower != nil {
		s.fillSide(&r.Other, follower)
	}
	switch {
	case why.body != nil:
		s.fillCase(r, why, r.Other.Variant != 0)
	case why.variant != nil && why.variant.trace != nil:
		// It gave up or was late: where, its last records say.
		if c, err := report.DecodeCase(decoder{}, why.variant.trace); err == nil {
			r.Lane, r.Seq = c.Lane, c.Seq
		}
		if why.unrecorded {
			r.Seq++
			side := &r.Leader
			if follower != nil {
				side = &r.Other
			}
			side.Call = &report.Call{Kind: report.KindCall, Name: why.subject, Number: math.MaxUint16, Seq: r.Seq, Lane: r.Lane}
		}
	}
	for _, v := range s.variants {
		r.Variants = append(r.Variants, report.Variant{ID: v.id, Role: v.role(), PID: v.pid, Host: hostName(), Bases: basesOf(v.bases), Ended: v.ended()})
	}
	return r
}

// fillRemote takes what a variant of another host said last. Its code lies there: addresses stay numbers here.
func (s *session) fillRemote(side *report.Side, id int) {
	r := s.peers.get(id)
	if r == nil || r.trace == nil {
		side.Missing = "the supervisor of its host did not say what it did last: see the report there"
		return
	}
	c, err := report.DecodeCase(decoder{}, r.trace)
	if err != nil {
		side.Missing = err.Error()
	}
	side.Before, side.Registers = c.Trace(), &c.Registers
}

// fillSide takes what a variant's TRACE says.
func (s *session) fillSide(side *report.Side, v *variant) {
	if v.trace == nil {
		side.Missing = "it did not say what it did last"
		return
	}
	c, err := report.DecodeCase(decoder{}, v.trace)
	if err != nil {
		side.Missing = err.Error()
	}
	side.Before, side.Registers = c.Trace(), &c.Registers
	if s.ending != nil {
		side.Backtrace = backtrace(s.ending.maps[v.id], &c)
	}
}

// backtrace names where a variant stood. The library's first frame is that place itself.
func backtrace(maps *report.Maps, c *report.Case) []report.Frame {
	ip, returns := uint64(c.Registers.RIP), c.Frames
	if len(returns) > 0 && returns[0] == ip {
		returns = returns[1:]
	}
	return report.Backtrace(maps, ip, returns)
}

// fillCase takes what the variant that diverged said: its own record, then the leader's.
func (s *session) fillCase(r *report.Report, why cause, follower bool) {
	c, err := report.DecodeCase(decoder{}, why.body)
	own := &r.Leader
	if follower {
		own = &r.Other
	}
	if err != nil {
		own.Missing = err.Error()
	}
	r.Lane, r.Seq = c.Lane, c.Seq
	own.Registers = &c.Registers
	if s.ending != nil && why.variant != nil {
		own.Backtrace = backtrace(s.ending.maps[why.variant.id], &c)
	}
	if len(c.Calls) > 0 {
		own.Call = &c.Calls[0]
	}
	if len(c.Calls) > 1 && follower {
		r.Leader.Call = &c.Calls[1]
	}
}

// writeReport puts a report where the group says. A full disk must not keep the group from ending.
func (s *session) writeReport(r *report.Report) {
	path, err := report.Write(s.group.Logs, r)
	if err != nil {
		s.log.Error(err)
		s.log.Warnf("%s (%s): there is no report of it", r.Headline, r.Reason)
		return
	}
	s.tell("report", r.Variant, path)
	s.log.Warnf("%s (%s): `monmod report %s` shows it", r.Headline, r.Reason, path)
}

// ended says how a variant ended, empty while it runs.
func (v *variant) ended() string {
	if !v.exited {
		return ""
	}
	return v.outcome.String()
}

func basesOf(b abi.Bases) report.Bases {
	return report.Bases{Monitor: report.Hex(b.Monitor), Program: report.Hex(b.Program), Interp: report.Hex(b.Interp),
		Stack: report.Hex(b.Stack), Mmap: report.Hex(b.Mmap), Brk: report.Hex(b.Brk)}
}

// here is the variant of this host with that ID, nil where there is none.
func (s *session) here(id int) *variant {
	for _, v := range s.variants {
		if v.id == id {
			return v
		}
	}
	return nil
}

// member is id where the group has such a variant, else 0: it came from another host.
func (s *session) member(id int) int {
	if _, err := s.group.Variant(id); err != nil {
		return 0
	}
	return id
}
