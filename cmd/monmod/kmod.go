package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/monmod/monmod/internal/kmod"
)

func newKmod() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kmod",
		Short: "Look at, load and unload the kernel module",
		Args:  arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(fmt.Errorf("say what to do: `monmod kmod --help` lists it"))
		},
	}
	cmd.AddCommand(newKmodStatus(),
		&cobra.Command{
			Use:   "load [FILE]",
			Short: "Load the module that is installed for the running kernel, or FILE",
			Args:  arguments(1),
			RunE: func(_ *cobra.Command, args []string) error {
				return kmod.Load(append(args, "")[0])
			},
		},
		&cobra.Command{
			Use:   "unload",
			Short: "Unload the module; one that is in use stays",
			Args:  arguments(0),
			RunE:  func(*cobra.Command, []string) error { return kmod.Unload() },
		},
		&cobra.Command{
			Use:   "reset",
			Short: "Kill every process of this host that the module monitors",
			Args:  arguments(0),
			RunE:  func(*cobra.Command, []string) error { return kmod.Reset() },
		})
	return cmd
}

func newKmodStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the loaded module's state",
		Args:  arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := kmod.Read()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintf(w, "version\t%d\n", s.Version)
			fmt.Fprintf(w, "active\t%v\n", s.Active)
			fmt.Fprintf(w, "armed threads\t%d\n", s.Armed)
			fmt.Fprintf(w, "limit\t%d\n", s.Limit)
			fmt.Fprintf(w, "calls redirected\t%d\n", s.Entries)
			fmt.Fprintf(w, "violations\t%d\n", s.Violations)
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}
