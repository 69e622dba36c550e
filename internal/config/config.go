// Package config holds what a person decides about a variant group and about
// this host: the group file in its two forms (YAML, and the libconfig form of
// the original system), the operator file /etc/monmod/runtime.yaml, their
// validation, and the digest by which supervisors see that they were given the
// same group.
//
// The tables in keys.go, choices.go and operator.go are the one description of
// every key: decoding, defaults, error texts and docs/configuration.md come
// from them. Nothing here starts, connects to or knows of a running group.
package config

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a group.
const (
	MinVariants = 2
	MaxVariants = 8
	MaxID       = 65535
	DefaultPort = 7772
)

// KeysNone is the value of Group.Keys for a group that asks for no keys.
const KeysNone = "none"

// ExitCode is the exit status of a program that a configuration error stops.
const ExitCode = 78

// maxFile bounds what is read: a group file is a page, not a megabyte.
const maxFile = 1 << 20

// Group is one variant group, complete: defaults are filled in. A Group that
// Load, Parse, Local or Set returned without an error is valid.
type Group struct {
	Name         string
	Leader       int       // an ID of Variants
	Variants     []Variant // 2 to 8, in ascending order of ID
	Policy       Policy
	Backend      Backend
	Entry        Entry
	Guard        Guard
	FS           FS
	OnDivergence Response
	Program      Program
	Lag          time.Duration // CPU time
	LagWall      time.Duration // wall time, not less than Lag
	PeerTimeout  time.Duration
	StartTimeout time.Duration
	Keys         string // absolute path of a folder, or KeysNone
	Logs         string // absolute path of a folder; empty where none is known, see CheckLogs
	Rules        []Rule // the first that matches a call holds

	// Path is the file as it was named, empty for a group without one.
	Path string
	// Notes are sentences for the person who starts the group: what the file
	// asks for that is accepted and has no effect.
	Notes []string
}

// Variant is one member of a group. Without an Address it is reached by a unix
// socket on its own host, and Port is 0.
type Variant struct {
	ID      int    // 1 to 65535
	Address string // IPv4 or IPv6 literal without brackets, or a host name
	Port    int
}

// Load reads and validates the group file at path. An error is a Problems.
func Load(path string) (*Group, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, Problems{&Error{File: path, Kind: ErrUnreadable, Problem: err.Error(), Fix: "name a readable group file"}}
	}
	return Parse(path, data)
}

// Parse validates the text of a group file. name stands in errors, and its
// base without extension is the default of the group's name; nothing is read
// from it. An error is a Problems.
func Parse(name string, data []byte) (*Group, error) {
	d := &decoder{file: name}
	root, err := parseForm(name, data)
	if err != nil {
		return nil, Problems{err}
	}
	d.original, root.name = root.original, "the file"
	g := &Group{Path: name}
	decodeTable(d, root, groupKeys, g)
	g.fillNames()
	d.checkGroup(root, g)
	if err := d.err(); err != nil {
		return nil, err
	}
	return g, nil
}

// Local returns a group of n variants (2 to 8) on this host, named "local",
// with IDs 1 to n and leader 1, that needs no file and no keys.
func Local(n int) (*Group, error) {
	if n < MinVariants || n > MaxVariants {
		return nil, Problems{&Error{Kind: ErrAbsurd, Problem: fmt.Sprintf("%d variants", n),
			Fix: fmt.Sprintf("ask for %d to %d", MinVariants, MaxVariants)}}
	}
	g := &Group{Name: "local", Leader: 1}
	for id := 1; id <= n; id++ {
		g.Variants = append(g.Variants, Variant{ID: id})
	}
	d := &decoder{}
	applyDefaults(d, groupKeys, g, func(k key[Group]) bool { return k.def == "" })
	g.fillNames()
	if err := d.err(); err != nil {
		return nil, err
	}
	return g, nil
}

// Set overrides one key that holds a single value (policy, backend, lag, …),
// as an annotation, a variable or an option does; from names the source in
// errors, such as "annotation io.monmod.policy". After an error g is unchanged.
func (g *Group) Set(key, value, from string) error {
	d := &decoder{file: from}
	changed := *g
	k, ok := find(groupKeys, key)
	if !ok || k.compound {
		return Problems{&Error{File: from, Kind: ErrUnknownKey, Problem: fmt.Sprintf("%q cannot be set here", key),
			Fix: "set one of " + list(scalarNames(groupKeys))}}
	}
	if changed.Keys == defaultKeys(g.Name) {
		changed.Keys = ""
	}
	if changed.Logs == defaultLogs(g.Name) {
		changed.Logs = ""
	}
	k.set(d, guess(key, value), &changed)
	changed.fillNames()
	d.checkGroup(&node{kind: tableNode}, &changed)
	if err := d.err(); err != nil {
		return err
	}
	*g = changed
	return nil
}

// Variant returns the member with that ID, or an error that names the members.
func (g *Group) Variant(id int) (*Variant, error) {
	for i := range g.Variants {
		if g.Variants[i].ID == id {
			return &g.Variants[i], nil
		}
	}
	return nil, &Error{File: g.Path, Kind: ErrNotMember, Problem: fmt.Sprintf("group %q has no variant %d", g.Name, id),
		Fix: "use one of its IDs: " + list(g.ids())}
}

// Followers returns every variant but the leader, in ascending order of ID.
func (g *Group) Followers() []Variant {
	return slices.DeleteFunc(slices.Clone(g.Variants), func(v Variant) bool { return v.ID == g.Leader })
}

// Networked reports whether any variant of the group has an address.
func (g *Group) Networked() bool {
	return slices.ContainsFunc(g.Variants, func(v Variant) bool { return v.Address != "" })
}

func (g *Group) ids() []string {
	ids := make([]string, len(g.Variants))
	for i, v := range g.Variants {
		ids[i] = fmt.Sprint(v.ID)
	}
	return ids
}

// fillNames sets what depends on the group's name.
func (g *Group) fillNames() {
	if g.Name == "" {
		base := filepath.Base(g.Path)
		g.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if g.Keys == "" {
		g.Keys = defaultKeys(g.Name)
	}
	if g.Logs == "" {
		g.Logs = defaultLogs(g.Name)
	}
}

func defaultKeys(group string) string { return "/etc/monmod/keys/" + group }

func defaultLogs(group string) string { return logsOf(os.Geteuid(), group) }

// logsOf is where a user's reports go: the system's folder for root, the user's
// own for everyone else, and nowhere where none is known. A folder that anyone
// can make, such as one in /tmp, is no place for what a program holds.
func logsOf(uid int, group string) string {
	if uid == 0 {
		return "/var/log/monmod/" + group
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "monmod", group)
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		u, err := user.LookupId(strconv.Itoa(uid))
		if err != nil || !filepath.IsAbs(u.HomeDir) {
			return ""
		}
		home = u.HomeDir
	}
	return filepath.Join(home, ".local/state/monmod", group)
}

// CheckLogs is called by whoever needs the folder of reports. It returns an
// error where the group names none and the user has none.
func (g *Group) CheckLogs() error {
	if g.Logs != "" {
		return nil
	}
	return &Error{File: g.Path, Kind: ErrMissingKey,
		Problem: fmt.Sprintf("there is no folder for reports: XDG_STATE_HOME and HOME are not set, and user %d has no home in the user database", os.Geteuid()),
		Fix:     "set one of the two, or name a folder by `logs` or --logs"}
}

// A group's name becomes a folder's name and, in certificates, the host of a
// URI: words joined by single dots.
var groupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)*$`)

const maxName = 63
