package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/keys"
	"github.com/monmod/monmod/internal/supervisor"
)

func newKeygen() *cobra.Command {
	var file, dir string
	cmd := &cobra.Command{
		Use:   "keygen --config FILE --out DIR",
		Short: "Make the keys of a group whose variants are on several hosts",
		Long: "Makes the keys of a group whose variants are on several hosts, and never overwrites any. The exit code is 78 where\n" +
			"the group's file is wrong and 1 where the keys cannot be made.",
		Args: arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" || dir == "" {
				return usage(errors.New("keygen needs --config FILE and --out DIR"))
			}
			g, err := config.Load(file)
			if err != nil {
				return err
			}
			made, err := keys.Generate(g.Name, g.Members(), dir)
			if err != nil {
				return err
			}
			for _, path := range made {
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the group's file")
	cmd.Flags().StringVar(&dir, "out", "", "folder for ca.crt, ID.crt and ID.key; give each host ca.crt and its own two")
	return cmd
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "monmod %s, arena and library protocol %d, peer protocol %d\n",
				supervisor.Version, supervisor.ProtocolVersion, supervisor.PeerVersion)
			return err
		},
	}
}

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Show which back ends hold on this host, and what else monmod needs",
		Long: "Shows which back ends hold on this host, why others do not, and what else monmod needs. The exit code is 0 where\n" +
			"programs can be run as variants here, by some back end, and 78 where they cannot. Where only reports and events\n" +
			"cannot be kept, programs can be run.",
		Args: arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			backend, missing := false, []string(nil)
			for _, f := range supervisor.Diagnose() {
				mark := "no "
				if f.Holds {
					mark = "yes"
				}
				backend = backend || f.Holds && f.Backend
				if !f.Holds && !f.Backend && !f.Spare {
					missing = append(missing, f.Name)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %-12s %s\n", mark, f.Name, f.Words)
			}
			if !backend {
				missing = append(missing, "a back end")
			}
			if missing != nil {
				err := fmt.Errorf("nothing can be monitored on this host: it lacks %s: the lines with \"no\" say what to do", strings.Join(missing, " and "))
				return &supervisor.Failure{Code: supervisor.ExitConfig, Err: err}
			}
			return nil
		},
	}
}
