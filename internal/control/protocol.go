package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxMessage bounds one request and one response, in bytes, newline included.
const MaxMessage = 1 << 20

// Limits of a supervisor, for what it does with the low-level runtime.
const (
	RuntimeLimit = 30 * time.Second // one thing done to all followers; making and starting them is one
	StopLimit    = 40 * time.Second // from the word that the container is gone to the followers' end
)

// Op names what is asked of a supervisor.
type Op string

// The operations.
const (
	OpPing    Op = "ping"
	OpInit    Op = "init"
	OpStart   Op = "start"
	OpKill    Op = "kill"
	OpPause   Op = "pause"
	OpResume  Op = "resume"
	OpUpdate  Op = "update"
	OpExec    Op = "exec"
	OpStopped Op = "stopped"
	OpStatus  Op = "status"
)

// Request is one line to a supervisor.
type Request struct {
	Op        Op              `json:"op"`
	Pid       int             `json:"pid,omitempty"`       // init: of the container's init, host numbering
	Signal    int             `json:"signal,omitempty"`    // kill
	Resources json.RawMessage `json:"resources,omitempty"` // update: the linux.resources of the OCI runtime specification
	Args      []string        `json:"args,omitempty"`      // exec
}

// Response is one line from a supervisor.
type Response struct {
	OK     bool    `json:"ok"`
	Error  string  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"`
}

// Status is what a supervisor says of its group.
type Status struct {
	Supervisor int               `json:"supervisor"` // its pid
	Group      string            `json:"group"`
	Policy     string            `json:"policy"`
	Backend    string            `json:"backend"`
	State      string            `json:"state"` // waiting, running, paused, ended
	ExitCode   int               `json:"exit_code,omitempty"`
	Reason     string            `json:"reason,omitempty"` // why it ended
	Variants   []VariantStatus   `json:"variants"`
	Counters   map[string]uint64 `json:"counters,omitempty"`
}

// VariantStatus is one variant of a group as its supervisor sees it.
type VariantStatus struct {
	ID    int    `json:"id"`
	Role  string `json:"role"` // leader, follower
	State string `json:"state"`
	Pid   int    `json:"pid,omitempty"` // host numbering; 0 where it is elsewhere or not started
}

// parseRequest decodes one line and checks that it has what its operation needs.
func parseRequest(line []byte) (*Request, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	r := new(Request)
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("read a control request: %w", err)
	}
	if d.More() {
		return nil, errors.New("read a control request: more than one on a line")
	}
	switch {
	case r.Op == OpInit && r.Pid <= 0:
		return nil, fmt.Errorf("init with pid %d", r.Pid)
	case r.Op == OpKill && (r.Signal < 1 || r.Signal > 64):
		return nil, fmt.Errorf("kill with signal %d", r.Signal)
	case r.Op == OpUpdate && len(r.Resources) == 0:
		return nil, errors.New("update without resources")
	}
	return r, nil
}
