package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/preflight"
	"github.com/monmod/monmod/internal/words"
	"github.com/monmod/monmod/runtime"
)

func newCheck() *cobra.Command {
	var bundle, image string
	cmd := &cobra.Command{
		Use:   "check FILE | --bundle DIR | --image LAYOUT[:TAG]",
		Short: "Check a group file and show what it means, or see what of a bundle or image will not run",
		Long: "Checks a group file and shows what it means. With --bundle (an OCI bundle) or --image (an OCI image layout, as\n" +
			"skopeo copy docker://IMAGE oci:LAYOUT:TAG makes it) it looks at the program and its libraries without starting\n" +
			"anything, and lists what certainly, probably or perhaps will not run as variants. The exit code is 1 where\n" +
			"something certainly will not.",
		Args: arguments(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if given := len(args) + count(bundle) + count(image); given != 1 {
				return usage(errors.New("name one thing to check: a group file, --bundle DIR or --image LAYOUT[:TAG]"))
			}
			out := cmd.OutOrStdout()
			switch {
			case bundle != "":
				return checkBundle(out, bundle)
			case image != "":
				r, err := preflight.Layout(image)
				if err != nil {
					return err
				}
				return printFindings(out, r, nil)
			}
			return checkFile(out, args[0])
		},
	}
	cmd.Flags().StringVar(&bundle, "bundle", "", "look at an OCI bundle")
	cmd.Flags().StringVar(&image, "image", "", "look at an image in an OCI image layout")
	return cmd
}

func count(flag string) int {
	if flag == "" {
		return 0
	}
	return 1
}

func checkFile(out io.Writer, file string) error {
	g, err := config.Load(file)
	if err != nil {
		return err
	}
	for _, s := range g.Shown() {
		fmt.Fprintf(out, "%-16s %s\n", s.Key, s.Value)
	}
	fmt.Fprintf(out, "%-16s %s\n%-16s %x\n", "logs", g.Logs, "digest", g.Digest())
	for _, note := range g.Notes {
		fmt.Fprintln(out, "note:", words.Printable(note))
	}
	if err := g.CheckLogs(); err != nil {
		fmt.Fprintln(out, "note:", words.Printable(err.Error()))
	}
	return nil
}

// checkBundle looks at the specification, which the runtime would refuse, and at the program.
func checkBundle(out io.Writer, dir string) error {
	r, err := preflight.Bundle(dir)
	if err != nil {
		return err
	}
	return printFindings(out, r, runtime.CheckBundle(dir))
}

// printFindings shows what was found; refused is why the specification cannot be monitored at all.
func printFindings(out io.Writer, r *preflight.Report, refused error) error {
	fmt.Fprintf(out, "command: %s\n", words.Printable(strings.Join(r.Command, " ")))
	if refused != nil {
		fmt.Fprintf(out, "%-13s  %s\n", preflight.Certain, words.Message(refused.Error()))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(out, "%-13s  %s: %s\n", f.Severity, words.Printable(f.Path), words.Printable(f.Words))
	}
	if slices.ContainsFunc(r.Findings, func(f preflight.Finding) bool { return f.Severity == preflight.Possible }) {
		fmt.Fprintln(out, "What it can do and this version cannot ends the group where it is done, with a message that names the call (io_uring\n"+
			"is answered ENOSYS): configure it not to, and try it with `monmod run`.")
	}
	if refused != nil || !r.Runs() {
		return exitCode(failed)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(out, "nothing was found that would keep it from running")
	}
	return nil
}
