package main

import (
	"errors"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/supervisor"
)

func newSupervise() *cobra.Command {
	var group groupFlags
	var messages messageFlags
	cmd := &cobra.Command{
		Use:   "supervise --id N --config FILE",
		Short: "Supervise a variant that something else starts",
		Long: "Waits for a program that is started as\n\n" +
			"    LD_PRELOAD=libmonmod.so MONMOD_ID=N MONMOD_CONFIG=FILE PROGRAM\n\n" +
			"and supervises it as variant N of the group.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if group.id == 0 {
				return usage(errors.New("supervise needs --id N --config FILE"))
			}
			g, err := group.load()
			if err != nil {
				return err
			}
			log := messages.logger()
			if g.Backend, err = supervisor.ChooseBackend(g.Backend); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
			defer stop()
			return ended(supervisor.Supervise(ctx, supervisor.SuperviseOptions{
				Group: g, ID: group.id, Config: group.file, Logger: log,
				Waiting: func(socket string) {
					log.Infof("the program of variant %d may be started: it comes to %s", group.id, socket)
				},
			}))
		},
	}
	group.add(cmd)
	messages.add(cmd)
	return cmd
}
