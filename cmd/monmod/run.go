package main

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/supervisor"
	"github.com/monmod/monmod/internal/words"
)

func newRun() *cobra.Command {
	var group groupFlags
	var messages messageFlags
	cmd := &cobra.Command{
		Use:   "run --variants N [flags] -- PROGRAM [ARGUMENTS]",
		Short: "Run a program as variants of a group",
		Long: "Runs a program as all variants of a group on this host, or with --id as one whose others are elsewhere.\n" +
			"Input is read and output written by the leader alone; the exit code is the program's own, or\n" +
			"70: a divergence, 69: another variant's supervisor was lost, 78: configuration, 64: usage.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("name the program to run behind --"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			inherited, err := supervisor.Inherited()
			if err != nil {
				return err
			}
			g, err := group.load()
			if err != nil {
				return err
			}
			return runGroup(g, group.id, args, inherited, messages.logger(cmd))
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().Var(number{&group.variants, config.MinVariants, config.MaxVariants}, "variants", "how many variants, 2 to 8")
	group.add(cmd)
	messages.add(cmd)
	return cmd
}

// runGroup runs the program with every descriptor that monmod was given, and keeps none of them: whoever reads what the
// program writes must see its end when the program closes it.
func runGroup(g *config.Group, id int, args []string, inherited []int, log *logrus.Logger) error {
	for _, note := range g.Notes {
		log.Warn(note)
	}
	backend, err := supervisor.ChooseBackend(g.Backend)
	if err != nil {
		return err
	}
	g.Backend = backend
	files := make(map[int]int)
	for _, fd := range inherited {
		files[fd] = fd
	}
	opts := supervisor.RunOptions{
		Group: g, ID: id, Program: args[0], Args: args[1:], Files: files, Foreground: true, Logger: log,
		Spawned: func() { letGo(inherited) },
	}
	return ended(supervisor.Run(context.Background(), opts))
}

// ended leaves with a group's code, and says what its end has to say.
func ended(code int, err error) error {
	if err != nil {
		return &supervisor.Failure{Code: code, Err: err}
	}
	if code == 0 {
		return nil
	}
	return exitCode(code)
}

// letGo closes what was the program's. Standard error stays, for messages; the place of 0 and 1 is kept, so that nothing
// else gets these numbers.
func letGo(inherited []int) {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return // what is held open longer than needed is no reason to end the program
	}
	for _, fd := range inherited {
		switch {
		case fd < 2:
			_ = unix.Dup3(null, fd, unix.O_CLOEXEC)
		case fd > 2:
			_ = unix.Close(fd)
		}
	}
	_ = unix.Close(null)
}

// messageFlags say how monmod itself talks.
type messageFlags struct {
	verbose, json bool
}

// ownMessages marks the flag --json of commands where it is about monmod's own messages, errors too, and not about the output.
const ownMessages = "own_messages"

func (f *messageFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "say what happens, not only what is wrong")
	cmd.Flags().BoolVar(&f.json, "json", false, "monmod's own messages as JSON lines")
	cmd.Flags().Lookup("json").Annotations = map[string][]string{ownMessages: {}}
}

// messagesOf is how a command talks. unread are the words of a command line that was not read to its end.
func messagesOf(cmd *cobra.Command, unread []string) *messageFlags {
	flag := cmd.Flags().Lookup("json")
	if flag == nil || flag.Annotations[ownMessages] == nil {
		return &messageFlags{}
	}
	if at := slices.Index(unread, "--"); at >= 0 {
		unread = unread[:at]
	}
	return &messageFlags{json: flag.Value.String() == "true" || slices.Contains(unread, "--json")}
}

func (f *messageFlags) logger(cmd *cobra.Command) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(cmd.ErrOrStderr())
	log.SetLevel(logrus.WarnLevel)
	if f.verbose {
		log.SetLevel(logrus.InfoLevel)
	}
	if f.json {
		log.SetFormatter(&logrus.JSONFormatter{})
	} else {
		log.SetFormatter(plain{})
	}
	return log
}

// plain is one line a message, as a person at a terminal wants it. Names of programs and files come from anywhere, so nothing in
// it acts on the terminal.
type plain struct{}

func (plain) Format(e *logrus.Entry) ([]byte, error) {
	return []byte("monmod: " + words.Message(e.Message) + "\n"), nil
}
