package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/monmod/monmod/internal/config"
)

// groupFlags are the ways to name a group and to change it for one run.
type groupFlags struct {
	variants        int
	id              int
	file            string
	policy, backend string
	logs            string
}

func (f *groupFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(number{&f.id, 1, config.MaxID}, "id", "run this variant of the group alone; the others are elsewhere")
	flags.StringVar(&f.file, "config", "", "the group's file")
	flags.StringVar(&f.policy, "policy", "", "instead of the group's policy: full, base, nonsocket_ro, nonsocket_rw, socket_ro, socket_rw, socket_rw_oc")
	flags.StringVar(&f.backend, "backend", "", "instead of the group's back end: auto, sud, kmod")
	flags.StringVar(&f.logs, "logs", "", "folder for reports and events instead of the group's")
}

// load gives the group that the flags mean.
func (f *groupFlags) load() (*config.Group, error) {
	if f.id != 0 && f.file == "" {
		return nil, usage(errors.New("--id names a variant of a group: name its file with --config"))
	}
	if f.id != 0 && f.variants != 0 {
		return nil, usage(errors.New("--variants runs all variants here, --id one of them: use one of the two"))
	}
	if f.file == "" && f.variants == 0 {
		return nil, usage(errors.New("say how many variants: --variants 2 (or --config with a group file)"))
	}
	g, err := f.base()
	if err != nil {
		return nil, err
	}
	for _, s := range []struct{ key, value string }{{"policy", f.policy}, {"backend", f.backend}, {"logs", f.logs}} {
		if s.value == "" {
			continue
		}
		if s.key == "logs" {
			if s.value, err = filepath.Abs(s.value); err != nil {
				return nil, fmt.Errorf("--logs %s: %w", f.logs, err)
			}
		}
		if err := g.Set(s.key, s.value, "option --"+s.key); err != nil {
			var later *config.NotInThisVersion
			if errors.As(err, &later) {
				return nil, err // the command line makes sense; another version would do it
			}
			return nil, usage(err)
		}
	}
	return g, nil
}

func (f *groupFlags) base() (*config.Group, error) {
	if f.file == "" {
		g, err := config.Local(f.variants)
		if err != nil {
			return nil, usage(fmt.Errorf("--variants: %w", err))
		}
		return g, nil
	}
	g, err := config.Load(f.file)
	if err != nil {
		return nil, err
	}
	if f.variants != 0 && f.variants != len(g.Variants) {
		return nil, usage(fmt.Errorf("--variants %d, but the group of %s has %d: leave the option out", f.variants, f.file, len(g.Variants)))
	}
	if f.id != 0 {
		_, err = g.Variant(f.id)
		return g, err
	}
	if g.Networked() {
		return nil, usage(fmt.Errorf("%s: a variant has an address: name the one that is to run here with --id", f.file))
	}
	return g, nil
}
