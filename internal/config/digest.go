package config

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Setting is one key of a group with its value in the canonical spelling.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Meaning lists what the variants of a group must agree on, defaults included,
// in a fixed order. Not in it: `logs`, where the keys lie, the order of the
// variants, and how a value was spelt.
func (g *Group) Meaning() []Setting { return meaning(groupKeys, g) }

// Shown is Meaning for a person: lists leave out what an element does not say,
// and the keys stand there by the place where they lie on this host.
func (g *Group) Shown() []Setting {
	all := g.Meaning()
	for i := range all {
		switch s := &all[i]; s.Key {
		case "variants":
			s.Value = showList(variantKeys, g.Variants, said)
		case "rules":
			s.Value = showList(ruleKeys, g.Rules, said)
		case "keys":
			s.Value = g.Keys
		}
	}
	return all
}

// Digest is the SHA-256 of Meaning: equal for two files that mean the same.
func (g *Group) Digest() [32]byte {
	var b strings.Builder
	b.WriteString("monmod group 1\n")
	for _, s := range g.Meaning() {
		fmt.Fprintf(&b, "%s=%q\n", s.Key, s.Value)
	}
	return sha256.Sum256([]byte(b.String()))
}

// Differences names the keys in which two meanings differ, each with both
// values: "policy: full here, base there". Neither side is trusted to be
// complete or in order.
func Differences(here, there []Setting) []string {
	var found []string
	for _, s := range here {
		if other, ok := valueOf(there, s.Key); other != s.Value {
			if !ok {
				other = "nothing"
			}
			found = append(found, fmt.Sprintf("%s: %s here, %.200q there", s.Key, s.Value, other))
		}
	}
	for _, s := range there {
		if _, ok := valueOf(here, s.Key); !ok {
			found = append(found, fmt.Sprintf("%.64q: nothing here, %.200q there", s.Key, s.Value))
		}
	}
	return found
}

func valueOf(settings []Setting, key string) (string, bool) {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return "", false
	}
	return settings[i].Value, true
}

func meaning[T any](keys []key[T], t *T) []Setting {
	var all []Setting
	for _, k := range keys {
		if k.show != nil {
			all = append(all, Setting{k.name, k.show(t)})
		}
	}
	return all
}

// extent is how much of an element of a list is shown.
type extent bool

const (
	whole extent = false // every key
	said  extent = true  // those that have a value
)

// showAll renders one element of a list.
func showAll[T any](keys []key[T], t *T, how extent) string {
	var parts []string
	nothing := meaning(keys, new(T))
	for i, s := range meaning(keys, t) {
		if how == whole || s != nothing[i] {
			parts = append(parts, fmt.Sprintf("%s=%q", s.Key, s.Value))
		}
	}
	return strings.Join(parts, " ")
}

func showList[T any](keys []key[T], elements []T, how extent) string {
	all := make([]string, len(elements))
	for i := range elements {
		all[i] = "{" + showAll(keys, &elements[i], how) + "}"
	}
	return strings.Join(all, " ")
}

func showVariants(g *Group) string { return showList(variantKeys, g.Variants, whole) }

func showRules(g *Group) string { return showList(ruleKeys, g.Rules, whole) }
