// Command monmod is what a person runs: programs as variants, supervisors, and a look at what runs and what diverged.
//
// Only wiring lives here: flags in, calls of internal packages, text and exit codes out.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/supervisor"
	"github.com/monmod/monmod/internal/syscalls"
)

func main() {
	config.KnownCall = func(name string) bool { _, ok := syscalls.ByName(name); return ok }
	os.Exit(execute(newRoot(), os.Args[1:]))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:               "monmod",
		Short:             "Run a program as variants that check each other, system call by system call",
		Version:           supervisor.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(errors.New("name a command: `monmod --help` lists them"))
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(flagError{wrongFlag(cmd, err)}) })
	root.AddCommand(newRun(), newSupervise(), newCheck(), newKeygen(), newPs(), newEvents(), newReport(), newDoctor(), newKmod(), newVersion(), newWatchdog())
	helpWithWords(root)
	strict(root)
	return root
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(err error) error { return usageError{err} }

// flagError is a wrong flag, behind which nothing was read.
type flagError struct{ error }

// exitCode is an error whose text has been said already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// output is where a command prints. It remembers a write that failed: what is printed in part must not end as a success.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("print: %w: make room, or print to another place", err)
		o.err = err
	}
	return n, err
}

// execute runs a command line and gives the exit code.
func execute(root *cobra.Command, args []string) int {
	out := &output{Writer: root.OutOrStdout()}
	root.SetOut(out)
	completionWithWords(root)
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	var code exitCode
	if err == nil || errors.As(err, &code) && out.err != nil {
		err = out.err
	}
	if err == nil {
		return 0
	}
	if errors.As(err, &code) {
		return int(code)
	}
	var unread flagError
	if !errors.As(err, &unread) {
		args = nil
	}
	messagesOf(cmd, args).logger(cmd).Error(err)
	return codeOf(err)
}

// failed is the exit code of a command that could not do what it was asked for and has no code of its own.
const failed = 1

func codeOf(err error) int {
	var (
		wrong    usageError
		failure  *supervisor.Failure
		problems config.Problems
		problem  *config.Error
		later    *config.NotInThisVersion
	)
	switch {
	case errors.As(err, &wrong):
		return supervisor.ExitUsage
	case errors.As(err, &failure):
		return failure.Code
	case errors.As(err, &problems), errors.As(err, &problem), errors.As(err, &later):
		return supervisor.ExitConfig
	}
	return failed
}
