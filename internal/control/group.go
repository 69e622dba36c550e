package control

import (
	"fmt"

	"github.com/monmod/monmod/internal/config"
)

// LoadGroup makes the group that the plan names, complete and checked: the
// group file or N local variants, the settings beside it, and what the
// operator of this host allows (operator is config.LoadOperator's). The file
// is read anew, and is refused where anyone but root could change it.
func (p *Plan) LoadGroup(operator *config.Operator) (*config.Group, error) {
	g, err := p.baseGroup()
	if err != nil {
		return nil, err
	}
	for _, s := range p.Settings {
		if err := g.Set(s.Key, s.Value, s.From); err != nil {
			return nil, err
		}
	}
	if p.Mode == ModeOne {
		if _, err := g.Variant(p.Variant); err != nil {
			return nil, err
		}
	}
	request := g.Request()
	request.Exec = config.Exec(p.Exec)
	if err := operator.Check(request); err != nil {
		return nil, err
	}
	g.Backend = operator.Choose(g.Backend)
	return g, nil
}

func (p *Plan) baseGroup() (*config.Group, error) {
	if p.GroupFile == "" {
		return config.Local(p.Variants)
	}
	if err := config.Trusted(p.GroupFile); err != nil {
		return nil, err
	}
	g, err := config.Load(p.GroupFile)
	if err != nil || p.Mode != ModeVariants {
		return g, err
	}
	if len(g.Variants) != p.Variants {
		return nil, fmt.Errorf("%s: the group has %d variants, the container asks for %d: make them equal, or leave out one of the two", p.GroupFile, len(g.Variants), p.Variants)
	}
	if g.Networked() {
		return nil, fmt.Errorf("%s: a variant has an address, but all variants of one container are on this host: remove the addresses, or name this container's io.monmod.id instead of io.monmod.variants", p.GroupFile)
	}
	return g, nil
}
