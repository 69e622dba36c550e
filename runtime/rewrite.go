package runtime

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/monmod/monmod/internal/control"
)

// Where things lie in the container, below its /dev so that a read-only root
// does no harm.
const (
	guestDir     = "/dev/monmod"
	guestLibrary = guestDir + "/" + control.LibraryFile
	guestSocket  = guestDir + "/" + control.HelloFile
)

// injection is how one variant's specification differs from a plain one.
type injection struct {
	way     string // control.InjectLaunch or control.InjectPreload
	library string // host path
	dev     string // host path of the folder at guestDir
	token   string
	variant int    // for preload
	group   string // group file, for preload; may be empty
	hooks   *hookLine
}

// hookLine says how the hooks call this program back.
type hookLine struct {
	self      string // host path of monmod-runtime
	container string
	plan      string // its name
	prestart  bool   // the low-level runtime does not know createRuntime
}

// hookArg0 marks the hooks of this program in a specification.
const hookArg0 = "monmod-runtime"

// PlanVariable tells a hook the name of the plan that it was made for: the
// container's may be another by then.
const PlanVariable = "MONMOD_PLAN"

// env is all that a hook gets: without it some runtimes would give it the
// container's environment.
func (h *hookLine) env() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", PlanVariable + "=" + h.plan}
}

// hookTimeout is in seconds, and more than hooks take: the one at the start
// waits 10 for its supervisor and then control.RuntimeLimit, the one at the end
// control.StopLimit and then 10, each a little longer.
const hookTimeout = 60

// inject edits raw so that the container starts as a variant. It undoes an
// earlier injection first, so that doing it twice is doing it once.
func (in *injection) inject(raw object) error {
	process, err := raw.member("process")
	if err != nil {
		return err
	}
	if err := in.editArgs(process); err != nil {
		return err
	}
	if err := in.editEnv(process); err != nil {
		return err
	}
	if err := raw.set("process", process); err != nil {
		return err
	}
	if err := in.editMounts(raw); err != nil {
		return err
	}
	if in.hooks != nil {
		return in.hooks.edit(raw)
	}
	return nil
}

func (in *injection) editArgs(process object) error {
	args, err := process.list("args")
	if err != nil {
		return err
	}
	original := stripArgs(args)
	if in.way == control.InjectLaunch {
		launch := []json.RawMessage{}
		for _, word := range []string{guestLibrary, "--socket", guestSocket, "--token", in.token, "--"} {
			data, err := encode(word)
			if err != nil {
				return err
			}
			launch = append(launch, data)
		}
		return process.set("args", append(launch, original...))
	}
	if len(original) == len(args) {
		return nil
	}
	return process.set("args", original)
}

// stripArgs takes off what an earlier injection put in front.
func stripArgs(args []json.RawMessage) []json.RawMessage {
	if len(args) > 6 && text(args[0]) == guestLibrary && text(args[1]) == "--socket" && text(args[3]) == "--token" && text(args[5]) == "--" {
		return args[6:]
	}
	return args
}

func (in *injection) editEnv(process object) error {
	env, err := process.list("env")
	if err != nil {
		return err
	}
	kept := []json.RawMessage{}
	changed := false
	preload := ""
	for _, e := range env {
		name, value, _ := strings.Cut(text(e), "=")
		if isMonmodVariable(name) {
			changed = true
			continue
		}
		if name == "LD_PRELOAD" {
			stripped := stripPreload(value)
			preload = stripped
			if in.way == control.InjectPreload || stripped != value {
				changed = true
				if in.way == control.InjectPreload || stripped == "" {
					continue
				}
				if e, err = encode("LD_PRELOAD=" + stripped); err != nil {
					return err
				}
			}
		}
		kept = append(kept, e)
	}
	if in.way == control.InjectPreload {
		changed = true
		for _, v := range in.variables(preload) {
			data, err := encode(v)
			if err != nil {
				return err
			}
			kept = append(kept, data)
		}
	}
	if !changed {
		return nil
	}
	return process.set("env", kept)
}

// variables are what the preload way adds. The library must come first: with
// musl that is the only way to be initialised first.
func (in *injection) variables(preload string) []string {
	if preload != "" {
		preload = ":" + preload
	}
	all := []string{"LD_PRELOAD=" + guestLibrary + preload, "MONMOD_SOCKET=" + guestSocket, "MONMOD_TOKEN=" + in.token,
		"MONMOD_ID=" + strconv.Itoa(in.variant)}
	if in.group != "" {
		all = append(all, "MONMOD_CONFIG="+in.group)
	}
	return all
}

// stripPreload takes the library out of an LD_PRELOAD, which has spaces or
// colons between its names.
func stripPreload(list string) string {
	if !strings.Contains(list, guestLibrary) {
		return list
	}
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ' ' })
	return strings.Join(slices.DeleteFunc(names, func(n string) bool { return n == guestLibrary }), ":")
}

func (in *injection) editMounts(raw object) error {
	mounts, err := raw.list("mounts")
	if err != nil {
		return err
	}
	kept := []json.RawMessage{}
	for _, m := range mounts {
		var d struct{ Destination string }
		if json.Unmarshal(m, &d) == nil && (d.Destination == guestDir || d.Destination == guestLibrary) {
			continue
		}
		kept = append(kept, m)
	}
	for _, m := range []specs.Mount{
		{Destination: guestDir, Type: "bind", Source: in.dev, Options: []string{"bind", "ro", "nosuid", "nodev", "noexec", "private"}},
		{Destination: guestLibrary, Type: "bind", Source: in.library, Options: []string{"bind", "ro", "nosuid", "nodev", "private"}},
	} {
		data, err := encode(m)
		if err != nil {
			return err
		}
		kept = append(kept, data)
	}
	return raw.set("mounts", kept)
}

// edit adds the hooks after those of the engine: at the start its network is
// set up by then, and at the end the followers outlive nothing they need.
func (h *hookLine) edit(raw object) error {
	hooks, err := raw.member("hooks")
	if err != nil {
		return err
	}
	if err := hooks.plain("hooks.", "prestart", "createRuntime", "poststop"); err != nil {
		return err
	}
	wanted := map[string]string{"createRuntime": "create-runtime", "poststop": "poststop"}
	if h.prestart {
		wanted["prestart"] = "create-runtime"
	}
	for _, stage := range []string{"prestart", "createRuntime", "poststop"} {
		list, err := hooks.list(stage)
		if err != nil {
			return err
		}
		before := len(list)
		list = slices.DeleteFunc(list, isOwnHook)
		if what, ok := wanted[stage]; ok {
			timeout := hookTimeout
			data, err := encode(specs.Hook{Path: h.self, Args: []string{hookArg0, "hook", what, "--container", h.container}, Env: h.env(), Timeout: &timeout})
			if err != nil {
				return err
			}
			list = append(list, data)
		} else if len(list) == before {
			continue
		}
		if err := hooks.set(stage, list); err != nil {
			return err
		}
	}
	return raw.set("hooks", hooks)
}

func isOwnHook(data json.RawMessage) bool {
	var h specs.Hook
	return json.Unmarshal(data, &h) == nil && len(h.Args) > 1 && h.Args[0] == hookArg0 && h.Args[1] == "hook"
}

// keepRequest writes what variables asked for as annotations: the variables
// leave the environment, and an engine may start the same bundle again.
func keepRequest(raw object, r request) error {
	annotations, err := raw.member("annotations")
	if err != nil {
		return err
	}
	changed := false
	for _, key := range slices.Sorted(maps.Keys(r)) {
		if !r[key].variable {
			continue
		}
		changed = true
		if err := annotations.set(AnnotationPrefix+key, r[key].text); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return raw.set("annotations", annotations)
}

// isMonmodVariable reports whether a variable is for the runtime and not for
// the program.
func isMonmodVariable(name string) bool { return strings.HasPrefix(name, variablePrefix) }
