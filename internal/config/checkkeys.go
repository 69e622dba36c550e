package config

import (
	"errors"
	"fmt"

	"github.com/monmod/monmod/internal/keys"
)

// CheckKeys is called by whoever starts variant id. It returns an error for a
// group that has addresses and whose keys are not there, not readable, not safe
// or not this variant's. Groups without an address need no keys, and one that
// says `none` is warned of where its supervisors connect.
func (g *Group) CheckKeys(id int) error {
	if _, err := g.Variant(id); err != nil {
		return err
	}
	if !g.Networked() || g.Keys == KeysNone {
		return nil
	}
	_, err := keys.Load(g.Keys, g.Name, id)
	var wrong *keys.Problem
	if errors.As(err, &wrong) {
		return &Error{File: g.Path, Kind: ErrKeys, Problem: fmt.Sprintf("variant %d of group %q cannot start without its keys: %v", id, g.Name, wrong.Err),
			Fix: wrong.Fix}
	}
	return err
}

// Members lists the group's variants for keys.Generate.
func (g *Group) Members() []keys.Member {
	all := make([]keys.Member, len(g.Variants))
	for i, v := range g.Variants {
		all[i] = keys.Member{ID: v.ID, Address: v.Address}
	}
	return all
}
