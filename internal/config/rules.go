package config

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/monmod/monmod/internal/abi"
)

// Rule is one exception from the policy. For Check, the first rule that
// matches a call and says something of Check holds; likewise for Data.
type Rule struct {
	Call  string // the name of a call, or "*"
	Path  string // a pattern for absolute paths, or "" for calls with any path or none
	Check Check  // "" leaves it to the policy
	Data  Data   // "" leaves it to fs; set only with a Path
}

// KnownCall tells whether there is a system call of that name. The package
// that knows the calls sets it before the first file is read; until then every
// well-formed name is taken.
var KnownCall = func(name string) bool { return true }

// Bounds of what the monitor has to match on every call.
const (
	maxRules     = 256
	maxPathRules = abi.PathRules
	maxWildcards = 8 // in one path
	maxPath      = 4096
)

var callName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,63}$`)

// ruleKeys describes one element of rules.
var ruleKeys = []key[Rule]{
	{
		name: "call", values: "the name of a system call, or *", defDoc: `"*", every call`,
		doc: "The call that the rule is for.",
		set: setCall, show: func(r *Rule) string { return r.Call },
	},
	{
		name: "path", values: "a pattern for absolute paths", defDoc: "any path, and calls without one",
		doc: "The paths that the rule is for, as the leader has resolved them. `*` stands for anything within one component, `**` as a component for any number of them, none included; every other character stands for itself.",
		set: setPath, show: func(r *Rule) string { return r.Path },
	},
	oneOf(key[Rule]{name: "check", defDoc: "as the policy says", doc: "Whether such calls are compared."},
		checks, func(r *Rule) *Check { return &r.Check }),
	oneOf(key[Rule]{name: "data", defDoc: "as `fs` says", doc: "Whose contents such files have. Needs a path."},
		contents, func(r *Rule) *Data { return &r.Data }),
}

func setRules(d *decoder, n *node, g *Group) {
	if !d.is(n, "a list, one element for each rule", listNode) {
		return
	}
	if len(n.items) > maxRules {
		d.bad(n.line, ErrAbsurd, "join some by a pattern, "+strconv.Itoa(maxRules)+" at most", "the group has %d rules", len(n.items))
		return
	}
	paths := 0
	for _, item := range n.items {
		before := len(d.problems)
		r := Rule{Call: "*"}
		decodeTable(d, item, ruleKeys, &r)
		if len(d.problems) > before {
			continue
		}
		switch {
		case r.Check == "" && r.Data == "":
			d.bad(item.line, ErrBadRule, "add check: or data:", "the rule says nothing")
		case r.Call == "*" && r.Path == "":
			d.bad(item.line, ErrBadRule, "add call: or path:, or choose another policy", "the rule is for everything")
		case r.Data != "" && r.Path == "":
			d.bad(item.line, ErrBadRule, "add path: with the files it is for", "data: %s needs a path", r.Data)
		case r.Path != "" && paths == maxPathRules:
			d.bad(item.line, ErrAbsurd, "join some by a pattern", "more than %d rules have a path", maxPathRules)
		case slices.Contains(g.Rules, r):
			d.bad(item.line, ErrBadRule, "keep one of the two", "the rule stands here again")
		default:
			g.Rules = append(g.Rules, r)
			if r.Path != "" {
				paths++
			}
		}
	}
}

func setCall(d *decoder, n *node, r *Rule) {
	if !d.is(n, `the name of a system call in quotes, or "*"`, textNode) {
		return
	}
	if n.text != "*" && !(callName.MatchString(n.text) && KnownCall(n.text)) {
		d.bad(n.line, ErrBadRule, `write the name of a system call, such as openat, or "*"`, "%s is no system call", strconv.Quote(n.text))
		return
	}
	r.Call = n.text
}

func setPath(d *decoder, n *node, r *Rule) {
	if !d.is(n, "an absolute path in quotes", textNode) {
		return
	}
	p := n.text
	bad := func(why, fix string) { d.bad(n.line, ErrBadRule, fix, "path %s %s", strconv.Quote(p), why) }
	switch {
	case !path.IsAbs(p):
		bad("is not absolute", "begin it with /, or with /**/ for any folder")
	case len(p) > maxPath || strings.ContainsFunc(p, isControl):
		bad("is no path", "write a printable one of at most 4096 bytes")
	case path.Clean(p) != p:
		bad("is not in its shortest form", "write "+path.Clean(p))
	case slices.ContainsFunc(strings.Split(p, "/"), func(c string) bool { return c != "**" && strings.Contains(c, "**") }):
		bad("has ** beside other characters", "write ** as a component of its own, as in /srv/**, or * within one")
	case strings.Count(p, "*")-strings.Count(p, "**") > maxWildcards:
		bad("has too many wildcards", "write "+strconv.Itoa(maxWildcards)+" at most, or more rules")
	default:
		r.Path = p
	}
}
