// Package hooks is what happens at a container's start and end on behalf of the
// monitor: the createRuntime (and prestart) hook starts the container's
// supervisor and waits until it serves, the poststop hook tells it that the
// container is gone and removes what is left.
//
// Hooks run in the host's namespaces, with the low-level runtime waiting. They
// decide nothing: what is to be done stands in the plan.
package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/words"
	"github.com/monmod/monmod/runtime"
)

// maxState bounds the state that the low-level runtime gives, in bytes.
const maxState = 4 << 20

// Main runs one hook: args are the words after "monmod-runtime hook", stdin has
// the container's state. It returns an exit status.
func Main(args []string, stdin io.Reader, stderr io.Writer) int {
	if err := run(args, stdin); err != nil {
		fmt.Fprintf(stderr, "monmod-runtime hook: %s\n", words.Message(err.Error()))
		return 1
	}
	return 0
}

var stages = map[string]func(*control.Plan, *specs.State) error{
	"create-runtime": createRuntime,
	"poststop":       poststop,
}

func run(args []string, stdin io.Reader) error {
	if len(args) != 3 || args[1] != "--container" || stages[args[0]] == nil {
		return errors.New("this is called by an OCI runtime, as: monmod-runtime hook create-runtime|poststop --container ID")
	}
	state, err := readState(stdin)
	if err != nil {
		return err
	}
	if state.ID != args[2] {
		return fmt.Errorf("%s: the state is of container %q and the hook is of %q: config.json was used for two containers: create each from a bundle of its own", args[0], state.ID, args[2])
	}
	p, err := control.LoadPlan(args[2])
	if errors.Is(err, fs.ErrNotExist) && args[0] == "poststop" {
		return nil // cleaned up already
	}
	if err != nil {
		return fmt.Errorf("%s: %w: create the container by monmod-runtime", args[0], err)
	}
	if name := os.Getenv(runtime.PlanVariable); name != "" && name != p.Name() {
		if args[0] == "poststop" {
			return nil // cleaned up already, and the ID taken by another
		}
		return fmt.Errorf("%s: another container has taken the ID %s since config.json was read: create the container again", args[0], args[2])
	}
	return stages[args[0]](p, state)
}

func readState(in io.Reader) (*specs.State, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxState+1))
	if err != nil {
		return nil, fmt.Errorf("read the container's state: %w", err)
	}
	if len(data) > maxState {
		return nil, fmt.Errorf("read the container's state: more than %d bytes", maxState)
	}
	state := new(specs.State)
	if err := json.Unmarshal(data, state); err != nil {
		return nil, fmt.Errorf("read the container's state: %w", err)
	}
	return state, nil
}
