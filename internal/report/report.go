package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/monmod/monmod/internal/abi"
)

// Schema is the version of the JSON form. Keys are only ever added within a version; a change of meaning makes a new one.
const Schema = 1

// Bounds of what a report holds; Write keeps the newest and drops what is over.
const (
	MaxBefore = 64
	MaxFrames = 64
	MaxEvents = 128
	MaxArgs   = 256  // of the program
	maxItems  = 32   // compared arguments of one call
	maxText   = 4096 // bytes of any one string
)

// Report is one divergence.
type Report struct {
	Schema        int         `json:"schema"`
	Time          time.Time   `json:"time"`
	MonmodVersion string      `json:"monmod_version"`
	Kernel        string      `json:"kernel"`
	Group         string      `json:"group"`
	Policy        string      `json:"policy"`
	Backend       string      `json:"backend"`
	OnDivergence  string      `json:"on_divergence"` // as the group says: kill, audit …
	Response      Response    `json:"response"`      // what was really done
	ExitCode      int         `json:"exit_code"`     // of the group; 0 when it goes on
	Reason        Reason      `json:"reason"`
	Subject       string      `json:"subject,omitempty"` // the file, descriptor or call that the reason is about
	Detail        string      `json:"detail,omitempty"`  // one sentence more, for people
	Headline      string      `json:"headline"`          // the first sentence of the text form
	Effect        Effect      `json:"effect"`
	Program       string      `json:"program"`
	Args          []string    `json:"args"`
	Variant       int         `json:"variant"` // the one that diverged; the leader's ID when it did
	Lane          uint32      `json:"lane"`
	Seq           uint64      `json:"seq"` // number of the call in its lane, from 1
	Leader        Side        `json:"leader"`
	Other         Side        `json:"other"` // the follower concerned; its variant is 0 when there is none
	Difference    *Difference `json:"difference,omitempty"`
	Events        []Event     `json:"events,omitempty"` // before the divergence, oldest first
	Variants      []Variant   `json:"variants"`
	Redacted      bool        `json:"redacted,omitempty"`
}

// Side is what is known of one variant at the moment of the divergence.
type Side struct {
	Variant   int        `json:"variant"`
	Call      *Call      `json:"call,omitempty"`
	Before    []Call     `json:"before,omitempty"` // oldest first, at most MaxBefore
	Registers *Registers `json:"registers,omitempty"`
	Backtrace []Frame    `json:"backtrace,omitempty"` // innermost first
	Missing   string     `json:"missing,omitempty"`   // why something of the above could not be had
}

// Variant is one member of the group.
type Variant struct {
	ID    int    `json:"id"`
	Role  string `json:"role"` // leader, follower
	PID   int    `json:"pid"`  // on its host; 0: not known
	Host  string `json:"host"`
	Bases Bases  `json:"bases"`
	Ended string `json:"ended,omitempty"` // how, in words
}

// Bases are the addresses the launcher chose; 0: the kernel's choice. Brk is the gap behind the program's image in bytes.
type Bases struct {
	Monitor Hex `json:"monitor"`
	Program Hex `json:"program"`
	Interp  Hex `json:"interp"`
	Stack   Hex `json:"stack"`
	Mmap    Hex `json:"mmap"`
	Brk     Hex `json:"brk"`
}

// Event is something that happened to a group. A lost peer is one too, and no Report: nobody did anything different.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"` // one snake_case word: started, peer_lost, refused_call, non_pie …
	Variant int       `json:"variant,omitempty"`
	Text    string    `json:"text"`
}

// Hex is a number that JSON shows as "0x…": as a JSON number its low bits would be lost by many readers.
type Hex uint64

func (h Hex) String() string { return "0x" + strconv.FormatUint(uint64(h), 16) }

// MarshalJSON gives the quoted hexadecimal form.
func (h Hex) MarshalJSON() ([]byte, error) { return []byte(`"` + h.String() + `"`), nil }

// UnmarshalJSON takes nothing but the form that MarshalJSON gives.
func (h *Hex) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("reading a number: a string like \"0x1f\" was expected, not %.40q", b)
	}
	digits, ok := strings.CutPrefix(s, "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	if !ok || err != nil {
		return fmt.Errorf("reading a number: a string like \"0x1f\" was expected, not %.40q", s)
	}
	*h = Hex(n)
	return nil
}

// Reason says in one stable word what kind of divergence it is.
type Reason string

// The reasons. The first eight come from the variants (enum mm_reason), the rest from their supervisor.
const (
	OtherCall     Reason = "other_call"
	OtherArgument Reason = "other_argument"
	OtherKind     Reason = "other_kind" // a call here, a fault or a signal there
	OtherResult   Reason = "other_result"
	OtherData     Reason = "other_data" // a file has other data; Subject is its path
	Taken         Reason = "taken"      // Subject is the descriptor's number
	OtherCode     Reason = "other_code" // Subject is the executable's path
	BadStream     Reason = "bad_stream"
	Late          Reason = "late"    // did not arrive; Detail says how long the others waited
	Refused       Reason = "refused" // Subject is the call's name
	Ended         Reason = "ended"   // one variant ended alone; Detail says how
	GaveUp        Reason = "gave_up" // the monitor itself; Detail says why
	Guarded       Reason = "guard"   // the kernel module killed a variant; Detail says what it tried
)

var reasons = map[Reason]bool{
	OtherCall: true, OtherArgument: true, OtherKind: true, OtherResult: true, OtherData: true, Taken: true,
	OtherCode: true, BadStream: true, Late: true, Refused: true, Ended: true, GaveUp: true, Guarded: true,
}

// Response is what was done about the divergence.
type Response string

// The responses.
const (
	GroupEnded   Response = "group_ended"
	VariantEnded Response = "variant_ended" // the others go on
	Recorded     Response = "recorded"      // all go on
)

var responses = map[Response]bool{GroupEnded: true, VariantEnded: true, Recorded: true}

// Effect says whether the diverging call had an effect outside.
type Effect string

// The effects.
const (
	EffectHeld    Effect = "held"    // the leader still waited: nothing of the call left
	EffectDone    Effect = "done"    // the leader had carried the call out
	EffectUnknown Effect = "unknown" // the leader need not have waited
)

var effects = map[Effect]bool{EffectHeld: true, EffectDone: true, EffectUnknown: true}

// Validate checks what Load and Write rely on. The errors name the field and what it may be.
func (r *Report) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Schema != Schema {
		bad("schema is %d; this monmod reads %d: use the monmod that wrote the report", r.Schema, Schema)
	}
	if r.Time.IsZero() || r.Time.Year() < 2000 || r.Time.Year() > 9999 {
		bad("time %s is not a time at which a divergence can have been seen", r.Time.Format(time.RFC3339))
	}
	if r.Reason == "peer_lost" {
		bad("reason peer_lost: a lost peer is an event, not a divergence")
	} else if !reasons[r.Reason] {
		bad("reason %.40q is not one that this version knows", r.Reason)
	}
	if !responses[r.Response] {
		bad("response %.40q is none of group_ended, variant_ended, recorded", r.Response)
	}
	if !effects[r.Effect] {
		bad("effect %.40q is none of held, done, unknown", r.Effect)
	}
	if r.ExitCode < 0 || r.ExitCode > 255 {
		bad("exit_code %d is not between 0 and 255", r.ExitCode)
	}
	if r.Group == "" {
		bad("group is missing")
	}
	if r.Leader.Variant == 0 {
		bad("leader.variant is missing")
	}
	if r.Variant != r.Leader.Variant && r.Variant != r.Other.Variant || r.Variant == 0 {
		bad("variant %d is neither leader.variant (%d) nor other.variant (%d)", r.Variant, r.Leader.Variant, r.Other.Variant)
	}
	return errors.Join(errs...)
}

// bound drops what is over the bounds, so that no program can make a report that nobody can read again. It copies what
// it changes: the caller's report stays as it was.
func (r Report) bound() *Report {
	r.Events = newest(r.Events, MaxEvents)
	for i := range r.Events {
		r.Events[i].Kind, r.Events[i].Text = short(r.Events[i].Kind), short(r.Events[i].Text)
	}
	r.Time = r.Time.UTC()
	r.Leader, r.Other = r.Leader.bound(), r.Other.bound()
	r.Args = append([]string(nil), r.Args[:min(len(r.Args), MaxArgs)]...)
	for i := range r.Args {
		r.Args[i] = short(r.Args[i])
	}
	r.Variants = append([]Variant(nil), r.Variants[:min(len(r.Variants), abi.MaxVariants)]...)
	for i := range r.Variants {
		v := &r.Variants[i]
		v.Role, v.Host, v.Ended = short(v.Role), short(v.Host), short(v.Ended)
	}
	for _, s := range []*string{&r.MonmodVersion, &r.Kernel, &r.Group, &r.Policy, &r.Backend, &r.OnDivergence,
		&r.Subject, &r.Detail, &r.Headline, &r.Program} {
		*s = short(*s)
	}
	return &r
}

func (s Side) bound() Side {
	s.Before = newest(s.Before, MaxBefore)
	s.Backtrace = append([]Frame(nil), s.Backtrace[:min(len(s.Backtrace), MaxFrames)]...)
	s.Missing = short(s.Missing)
	for i := range s.Before {
		s.Before[i] = s.Before[i].bound()
	}
	if s.Call != nil {
		call := s.Call.bound()
		s.Call = &call
	}
	return s
}

func (c Call) bound() Call {
	c.Args = append([]Arg(nil), c.Args[:min(len(c.Args), maxItems)]...)
	return c
}

func newest[T any](list []T, n int) []T {
	return append([]T(nil), list[max(0, len(list)-n):]...)
}
