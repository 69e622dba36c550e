package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// arguments takes up to most arguments, none of them empty. The library of command lines says only how many it counted; here
// is said what to do as well.
func arguments(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > most && cmd.HasSubCommands():
			return usage(unknownCommand(cmd, args[0]))
		case len(args) > most && most == 0:
			return usage(fmt.Errorf("%s takes no arguments, and was given %q: leave it out, or see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath()))
		case len(args) > most:
			return usage(fmt.Errorf("%s takes %d argument at most, and was given %d: leave %q out, or see `%s --help`",
				cmd.CommandPath(), most, len(args), args[most], cmd.CommandPath()))
		case slices.Contains(args, ""):
			return usage(errors.New("an argument is empty: give it a value, or leave it out"))
		}
		return nil
	}
}

// unknownCommand names the commands that were likely meant, and where all of them are listed.
func unknownCommand(cmd *cobra.Command, name string) error {
	hint := ""
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if meant := cmd.SuggestionsFor(name); len(meant) > 0 {
		hint = fmt.Sprintf("did you mean `%s %s`? ", cmd.CommandPath(), strings.Join(meant, "` or `"+cmd.CommandPath()+" "))
	}
	return fmt.Errorf("%s has no command %q: %s`%s --help` lists them", cmd.CommandPath(), name, hint, cmd.CommandPath())
}

// wrongFlag adds what to do to what is wrong with a flag. A wrong value has said that already.
func wrongFlag(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		return err
	}
	return fmt.Errorf("%w: `%s --help` lists the flags and what they take", err, cmd.CommandPath())
}

// helpWithWords makes `help NAME` fail where there is nothing of that name, which the library of command lines shows as a success.
func helpWithWords(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		show := help.Run
		help.Run = nil
		help.RunE = func(cmd *cobra.Command, args []string) error {
			at, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage(unknownCommand(at, append(rest, args...)[0]))
			}
			show(cmd, args)
			return nil
		}
	}
}

// completionWithWords adds the library's command that prints completions for shells, and has it refuse what it does not know as
// others do. It keeps the place where the root prints, so that must be set before.
func completionWithWords(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, completion := range root.Commands() {
		if completion.Name() != "completion" {
			continue
		}
		completion.Args = arguments(0)
		completion.RunE = func(cmd *cobra.Command, _ []string) error {
			return usage(fmt.Errorf("name a shell: `%s --help` lists them", cmd.CommandPath()))
		}
		for _, shell := range completion.Commands() {
			shell.Args = arguments(0)
		}
	}
}
