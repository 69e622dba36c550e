package main

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/supervisor"
	"github.com/monmod/monmod/runtime"
)

func newSupervise() *cobra.Command {
	var group groupFlags
	var messages messageFlags
	var container string
	cmd := &cobra.Command{
		Use:   "supervise --id N --config FILE",
		Short: "Supervise a variant that something else starts",
		Long: "Waits for a program that is started as\n\n" +
			"    LD_PRELOAD=libmonmod.so MONMOD_ID=N MONMOD_CONFIG=FILE PROGRAM\n\n" +
			"and supervises it as variant N of the group.",
		Args: arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
			defer stop()
			if container != "" {
				messages.verbose = true // into the container's log, where nobody can ask again
				return superviseContainer(ctx, container, messages.logger(cmd))
			}
			if group.id == 0 {
				return usage(errors.New("supervise needs --id N --config FILE"))
			}
			g, err := group.load()
			if err != nil {
				return err
			}
			log := messages.logger(cmd)
			if g.Backend, err = supervisor.ChooseBackend(g.Backend); err != nil {
				return err
			}
			return ended(supervisor.Supervise(ctx, supervisor.SuperviseOptions{
				Group: g, ID: group.id, Config: group.file, Logger: log,
				Waiting: func(socket string) {
					log.Infof("the program of variant %d may be started: it comes to %s", group.id, socket)
				},
			}))
		},
	}
	group.add(cmd)
	cmd.Flags().StringVar(&container, "container", "", "serve a container that monmod-runtime made (its hook calls this)")
	messages.add(cmd)
	return cmd
}

// untilSignal is a context that the first of some signals cancels, with a supervisor.Signalled as the cause.
func untilSignal(parent context.Context, signals ...os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	go func() {
		select {
		case sig := <-caught:
			cancel(supervisor.Signalled(sig.(unix.Signal)))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(caught)
		cancel(nil)
	}
}

func superviseContainer(ctx context.Context, id string, log *logrus.Logger) error {
	plan, err := control.LoadPlan(id)
	if err != nil {
		return err
	}
	operator, err := config.LoadOperator(config.OperatorFile)
	if err != nil {
		return err
	}
	group, err := plan.LoadGroup(operator)
	if err != nil {
		return err
	}
	if group.Backend, err = supervisor.ChooseBackend(group.Backend); err != nil {
		return err
	}
	opts := supervisor.ContainerOptions{Plan: plan, Group: group, Logger: log}
	for _, f := range runtime.Followers(plan) {
		opts.Followers = append(opts.Followers, f)
	}
	return ended(supervisor.SuperviseContainer(ctx, opts))
}

// newWatchdog is how a supervisor starts its watchdog; nobody else does.
func newWatchdog() *cobra.Command {
	return &cobra.Command{
		Use:    supervisor.WatchdogArg,
		Hidden: true,
		Args:   arguments(0),
		RunE: func(*cobra.Command, []string) error {
			signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
			return supervisor.RunWatchdog()
		},
	}
}
