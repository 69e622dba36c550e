package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/report"
	"github.com/monmod/monmod/internal/supervisor"
	"github.com/monmod/monmod/internal/words"
)

func newPs() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the groups that run on this host",
		Args:  arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			groups, err := supervisor.List()
			if err != nil {
				return err
			}
			if asJSON {
				if groups == nil {
					groups = []supervisor.Status{}
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(groups)
			}
			return printGroups(cmd, groups)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON array, with every figure")
	return cmd
}

func printGroups(cmd *cobra.Command, groups []supervisor.Status) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tSTATE\tPOLICY\tVARIANT\tROLE\tPROCESS\tSTATE\tCALLS\tBEHIND\tPROGRAM")
	for _, g := range groups {
		for _, v := range g.Variants {
			calls := v.Done // of a variant elsewhere that is all that is known
			if v.Counters != nil {
				calls = v.Counters.Calls
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\t%s\t%d\t%d\t%s\n", g.Group, g.State, g.Policy, v.ID, v.Role, v.PID, v.State,
				calls, v.Behind, words.Printable(g.Program))
		}
	}
	return w.Flush()
}

// logRoot is where groups keep their logs unless they say otherwise: the parent of each.
func logRoot() (string, error) {
	g := groupFlags{variants: 2}
	group, err := g.load()
	if err == nil {
		err = group.CheckLogs()
	}
	if err != nil {
		return "", err
	}
	return filepath.Dir(group.Logs), nil
}

func newReport() *cobra.Command {
	var last, asJSON bool
	var dir string
	cmd := &cobra.Command{
		Use:   "report [FILE | --last]",
		Short: "Show a divergence report, by default the newest",
		Args:  arguments(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := reportPath(args, last, dir)
			if err != nil {
				return err
			}
			r, err := report.Load(path)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(r)
			}
			width, colour := terminal()
			return report.Render(cmd.OutOrStdout(), r, width, colour)
		},
	}
	cmd.Flags().BoolVar(&last, "last", false, "the newest report")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the report as JSON")
	cmd.Flags().StringVar(&dir, "logs", "", "look for the newest here, where a group says logs")
	return cmd
}

func reportPath(args []string, last bool, dir string) (string, error) {
	if len(args) == 1 {
		if last {
			return "", usage(errors.New("name a report or say --last, not both"))
		}
		return args[0], nil
	}
	if dir == "" {
		var err error
		if dir, err = logRoot(); err != nil {
			return "", err
		}
	}
	return report.Last(dir)
}

// terminal gives the width of standard output, 0 where it is no terminal, and whether it takes colours.
func terminal() (width int, colour bool) {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func newEvents() *cobra.Command {
	var follow, asJSON bool
	var dir string
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to groups on this host",
		Args:  arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			named := dir != ""
			if !named {
				var err error
				if dir, err = logRoot(); err != nil {
					return err
				}
			}
			reader := supervisor.NewEventReader(dir)
			reader.Once = !follow
			var wrong error // the command's result, once all else is shown
			show := func(e supervisor.Entry) error { return printEvent(cmd, e, asJSON) }
			bad := func(err error) {
				fmt.Fprintf(cmd.ErrOrStderr(), "monmod: %s\n", words.Message(err.Error()))
				wrong = exitCode(failed)
			}
			for {
				err := reader.Read(show, bad)
				if !named && errors.Is(err, fs.ErrNotExist) {
					err = nil // no group has run yet
				}
				if err != nil {
					return err
				}
				if !follow {
					return wrong
				}
				select {
				case <-cmd.Context().Done():
					return wrong
				case <-time.After(followEvery):
				}
			}
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().StringVar(&dir, "logs", "", "look here, where a group says logs")
	return cmd
}

const followEvery = 200 * time.Millisecond

func printEvent(cmd *cobra.Command, e supervisor.Entry, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s[%d] %s\n", words.Printable(e.Group), e.Supervisor, report.RenderEvent(&e.Event))
	return err
}
