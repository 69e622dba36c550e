package servers

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// States of a connection as the kernel's table spells them.
const (
	stateTimeWait = "06"
	stateListen   = "0A"
)

// sockets returns the states of the sockets bound to 127.0.0.1:port. The kernel's table is read instead of connecting, so that
// the server's first connection is the client's.
func sockets(port int) ([]string, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	local := fmt.Sprintf("0100007F:%04X", port)
	var states []string
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == local {
			states = append(states, f[3])
		}
	}
	return states, nil
}

// await looks at the sockets of port until ok holds, the server ends or limit passes; only the first is no error.
func await(what string, port int, limit time.Duration, ended <-chan struct{}, ok func(states []string) bool) error {
	for end := time.Now().Add(limit); ; {
		states, err := sockets(port)
		if err != nil {
			return fmt.Errorf("wait for %s on port %d: %w", what, port, err)
		}
		if ok(states) {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("wait for %s on port %d: the server ended", what, port)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for %s on port %d: not so after %v, socket states %v", what, port, limit, states)
		}
	}
}

// Listening waits until something listens on 127.0.0.1:port.
func Listening(port int, limit time.Duration, ended <-chan struct{}) error {
	return await("a listener", port, limit, ended, func(states []string) bool {
		for _, s := range states {
			if s == stateListen {
				return true
			}
		}
		return false
	})
}

// Idle waits until the server has closed every connection: what it does at its end may hang on those that are open.
func Idle(port int, limit time.Duration, ended <-chan struct{}) error {
	return await("the end of all connections", port, limit, ended, func(states []string) bool {
		for _, s := range states {
			if s != stateListen && s != stateTimeWait {
				return false
			}
		}
		return true
	})
}
