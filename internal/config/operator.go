package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
)

// OperatorFile is where the host's operator says what containers may ask for.
const OperatorFile = "/etc/monmod/runtime.yaml"

// Exec says whether an engine may execute further processes in a monitored
// container.
type Exec string

// The values of Exec, from the weaker.
const (
	ExecAllow Exec = "allow"
	ExecDeny  Exec = "deny"
)

var execs = []choice{
	{value: "allow", doc: "A process that an engine executes in a monitored container runs, unmonitored, and is logged as an event."},
	{value: "deny", doc: "It is refused."},
}

// Inject says who may ask for a container into which the library gets by
// LD_PRELOAD. The dynamic linker, which is the image's, decides whether it does.
type Inject string

// The values of Inject, from the weakest.
const (
	InjectAny        Inject = "any"
	InjectAnnotation Inject = "annotation"
	InjectLaunch     Inject = "launch"
)

var injects = []choice{
	{value: "any", doc: "Every annotation and variable, those of an image too."},
	{value: "annotation", doc: "The annotations that an engine is given. No variable, which an image's ENV may have set, and under podman no annotation either: it copies those of images."},
	{value: "launch", doc: "Nobody."},
}

// What an operator may set, where that is fewer than a group may.
var (
	floors        = slices.DeleteFunc(slices.Clone(policies), func(c choice) bool { return c.instead != "" })
	hostBackends  = backends
	hostResponses = []choice{
		{value: "audit", doc: "A group may ask for any answer."},
		{value: "kill", doc: "A group may not ask for `audit`."},
	}
)

// Operator is what the operator of a host decided; no container can weaken it.
type Operator struct {
	Require      bool     // a container that asks for no monitoring does not start
	Policy       Policy   // the policy that exempts most of those allowed
	OnDivergence Response // Kill forbids Audit
	Exec         Exec     // ExecDeny forbids ExecAllow
	Backend      Backend  // BackendAuto allows every one
	Inject       Inject   // who may ask for preload
	Runtime      string   // absolute path of the low-level runtime, or a name to look up in PATH

	// Path is the file it was read from, empty for the defaults.
	Path string
}

// Request is what a container or a group asks for, of the keys that an
// operator can restrict. An empty field asks for nothing.
type Request struct {
	Policy       Policy
	OnDivergence Response
	Exec         Exec
	Backend      Backend
	Rules        []Rule
}

var runtimeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// operatorKeys describes the operator file.
var operatorKeys = []key[Operator]{
	{
		name: "require", values: "true or false", def: "false",
		doc: "With `true` a container that does not ask for monitoring does not start.",
		set: func(d *decoder, n *node, o *Operator) {
			if d.is(n, "true or false", booleanNode) {
				o.Require = isTrue(n)
			}
		},
	},
	oneOf(key[Operator]{name: "policy", def: "socket_rw_oc",
		doc: "The least strict policy that a container may ask for. With any but the default, rules with `check: exempt` are refused too."},
		floors, func(o *Operator) *Policy { return &o.Policy }),
	oneOf(key[Operator]{name: "on_divergence", def: "audit", doc: "The weakest answer to a divergence that a group may ask for."},
		hostResponses, func(o *Operator) *Response { return &o.OnDivergence }),
	oneOf(key[Operator]{name: "exec", def: "allow",
		doc: "What an engine's exec into a monitored container does. With `deny` no container may ask for `allow`, and those that run already are closed too."},
		execs, func(o *Operator) *Exec { return &o.Exec }),
	oneOf(key[Operator]{name: "backend", def: "auto",
		doc: "The back end of groups that say `auto`. A group may not ask for another one; with `auto` it may ask for any."},
		hostBackends, func(o *Operator) *Backend { return &o.Backend }),
	oneOf(key[Operator]{name: "inject", def: "annotation",
		doc: "Who may ask for `inject: preload`, which is weaker than `launch`: a program whose image has a dynamic linker of its own runs unmonitored until the group ends because it does not say hello."},
		injects, func(o *Operator) *Inject { return &o.Inject }),
	{
		name: "runtime", values: "the absolute path of a low-level OCI runtime, or its name", def: "runc",
		doc: "What monmod-runtime hands a container to; a name is looked up in PATH.",
		set: func(d *decoder, n *node, o *Operator) {
			if !d.is(n, "a path in quotes", textNode) {
				return
			}
			if path.IsAbs(n.text) && path.Clean(n.text) == n.text || runtimeName.MatchString(n.text) {
				o.Runtime = n.text
				return
			}
			d.bad(n.line, ErrBadValue, "write an absolute path such as /usr/sbin/runc, or a name such as crun", "runtime %s is neither a path nor a name", strconv.Quote(n.text))
		},
	},
}

// LoadOperator reads the operator file. Where there is none, the defaults
// hold. A file that anyone but root could change is refused. An error is a
// Problems.
func LoadOperator(path string) (*Operator, error) {
	d := &decoder{file: path}
	o := &Operator{}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		applyDefaults(d, operatorKeys, o, func(key[Operator]) bool { return false })
		return o, nil
	}
	if err := Trusted(path); err != nil {
		return nil, Problems{err}
	}
	data, err := readBounded(path)
	if err != nil {
		return nil, Problems{&Error{File: path, Kind: ErrUnreadable, Problem: err.Error(), Fix: "repair or remove it"}}
	}
	return parseOperator(path, data)
}

func parseOperator(name string, data []byte) (*Operator, error) {
	data, err := text(name, data)
	if err != nil {
		return nil, Problems{err}
	}
	root, err := parseYAML(name, data)
	if err != nil {
		return nil, Problems{err}
	}
	root.name = "the file"
	d := &decoder{file: name}
	o := &Operator{Path: name}
	decodeTable(d, root, operatorKeys, o)
	if err := d.err(); err != nil {
		return nil, err
	}
	return o, nil
}

// Check compares a request with what the operator allows and names everything
// that is weaker, each an *Error of kind ErrWeakened in a Problems.
func (o *Operator) Check(r Request) error {
	var all Problems
	weaker := func(key string, asked, allowed any, fix string) {
		all = append(all, &Error{File: o.Path, Kind: ErrWeakened, Problem: fmt.Sprintf("%s %v is asked for, the operator of this host allows no weaker than %v", key, asked, allowed), Fix: fix})
	}
	if r.Policy != "" && (r.Policy.Rank() < 0 || r.Policy.Rank() > o.Policy.Rank()) {
		weaker("policy", r.Policy, o.Policy, "ask for "+string(o.Policy)+" or a stricter one")
	}
	if r.OnDivergence == Audit && o.OnDivergence == Kill {
		weaker("on_divergence", r.OnDivergence, o.OnDivergence, "ask for kill")
	}
	if r.Exec == ExecAllow && o.Exec == ExecDeny {
		weaker("exec", r.Exec, o.Exec, "leave it out")
	}
	if o.Backend != BackendAuto && r.Backend != "" && r.Backend != BackendAuto && r.Backend != o.Backend {
		weaker("backend", r.Backend, o.Backend, "ask for "+string(o.Backend)+" or auto")
	}
	if o.Policy != PolicySocketRWOC {
		for _, rule := range r.Rules {
			if rule.Check == CheckExempt {
				weaker("a rule", "{"+showAll(ruleKeys, &rule, said)+"}", "policy "+string(o.Policy), "remove the rule, or ask the operator")
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// CheckPreload compares a request for preload with what the operator allows. The
// error is an *Error of kind ErrWeakened. from names what asks, and image says
// that it may have come with the container's image.
func (o *Operator) CheckPreload(from string, image bool) error {
	switch {
	case o.Inject == InjectLaunch:
		return &Error{File: o.Path, Kind: ErrWeakened, Problem: from + " asks for preload, the operator of this host allows no weaker than launch", Fix: "leave it out"}
	case o.Inject != InjectAny && image:
		return &Error{File: o.Path, Kind: ErrWeakened, Problem: from + " asks for preload, which is weaker than launch, and may have come with the image",
			Fix: "leave it out, or use an annotation (with an engine that copies none from images); else the operator may write `inject: any` into " + OperatorFile}
	}
	return nil
}

// Request gives what the group asks for, for Operator.Check.
func (g *Group) Request() Request {
	return Request{Policy: g.Policy, OnDivergence: g.OnDivergence, Backend: g.Backend, Rules: g.Rules}
}

// Choose gives the back end for a group that asks for one: the operator's
// where it leaves the choice to the host.
func (o *Operator) Choose(asked Backend) Backend {
	if asked == BackendAuto || asked == "" {
		return o.Backend
	}
	return asked
}
