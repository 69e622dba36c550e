package config

import (
	"errors"
	"fmt"

	"github.com/monmod/monmod/internal/keys"
)

// CheckKeys is called by whoever starts variant id. It returns a sentence to
// print for a group that runs without authentication, and an error for one
// that has addresses and whose keys are not there, not readable, not safe or
// not this variant's. Groups without an address need no keys.
func (g *Group) CheckKeys(id int) (warning string, err error) {
	if _, err := g.Variant(id); err != nil {
		return "", err
	}
	if !g.Networked() {
		return "", nil
	}
	if g.Keys == KeysNone {
		return fmt.Sprintf("group %q runs with keys: none: whoever reaches its ports can join it, read what it does and change its results; make keys with monmod keygen", g.Name), nil
	}
	_, err = keys.Load(g.Keys, g.Name, id)
	var wrong *keys.Problem
	if errors.As(err, &wrong) {
		return "", &Error{File: g.Path, Kind: ErrKeys, Problem: fmt.Sprintf("variant %d of group %q cannot start without its keys: %v", id, g.Name, wrong.Err),
			Fix: wrong.Fix}
	}
	return "", err
}

// Members lists the group's variants for keys.Generate.
func (g *Group) Members() []keys.Member {
	all := make([]keys.Member, len(g.Variants))
	for i, v := range g.Variants {
		all[i] = keys.Member{ID: v.ID, Address: v.Address}
	}
	return all
}
