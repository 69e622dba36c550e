package runtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/monmod/monmod/internal/config"
	"github.com/monmod/monmod/internal/control"
	"github.com/monmod/monmod/internal/words"
)

// AnnotationPrefix begins the name of every annotation that asks for something.
const AnnotationPrefix = "io.monmod."

// variablePrefix begins the name of every variable that does.
const variablePrefix = "MONMOD_"

// requestKeys are the annotations' names after the prefix. The variables are
// the same in capitals.
var requestKeys = []string{"config", "id", "group", "variants", "policy", "backend", "inject", "exec"}

// ownVariables are put in by the preload way of injection, and taken out again
// where a specification is rewritten a second time.
var ownVariables = []string{"MONMOD_SOCKET", "MONMOD_TOKEN"}

// maxValue bounds one annotation or variable, in bytes.
const maxValue = 4096

// asked is one key that was asked for, and by what.
type asked struct {
	text     string
	variable bool   // an image's ENV looks the same
	image    bool   // it may have come with the image
	from     string // "annotation io.monmod.policy", for errors
}

// request is what a container asks for.
type request map[string]asked

// readRequest collects annotations and variables, each key from the annotation
// where there are both. It returns nil where nothing is asked for.
func readRequest(annotations map[string]string, env []string) (request, error) {
	r := request{}
	copies := annotations[manager] == podman // an image's annotations become the container's
	for name, text := range annotations {
		if key, ok := strings.CutPrefix(name, AnnotationPrefix); ok {
			if err := r.add(key, asked{text: text, image: copies, from: "annotation " + words.Printable(name)}); err != nil {
				return nil, err
			}
		}
	}
	variables := request{}
	for _, e := range env {
		name, text, _ := strings.Cut(e, "=")
		key, ok := strings.CutPrefix(name, variablePrefix)
		if !ok || slices.Contains(ownVariables, name) {
			continue
		}
		// Of two the last one counts, as it does for the program.
		shown := words.Printable(name)
		if err := variables.add(strings.ToLower(key), asked{text: text, variable: true, image: true, from: "variable " + shown}); err != nil {
			return nil, err
		}
		if name != strings.ToUpper(name) {
			return nil, fmt.Errorf("unknown variable %s: write it in capitals", shown)
		}
	}
	// variants and id exclude each other, so an annotation with the one takes
	// the place of a variable with the other.
	if _, ok := r["variants"]; ok {
		delete(variables, "id")
	} else if _, ok := r["id"]; ok {
		delete(variables, "variants")
	}
	for key, v := range variables {
		if _, ok := r[key]; !ok {
			r[key] = v
		}
	}
	if len(r) == 0 {
		return nil, nil
	}
	for _, key := range requestKeys {
		if v, ok := r[key]; ok {
			if err := v.check(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (r request) add(key string, v asked) error {
	if !slices.Contains(requestKeys, key) {
		return fmt.Errorf("unknown %s: the keys are %s", v.from, strings.Join(requestKeys, ", "))
	}
	r[key] = v
	return nil
}

func (v asked) check() error {
	switch {
	case v.text == "":
		return fmt.Errorf("%s is empty: give it a value or remove it", v.from)
	case len(v.text) > maxValue:
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", v.from, len(v.text), maxValue)
	case strings.ContainsFunc(v.text, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return fmt.Errorf("%s has a control character: remove it", v.from)
	}
	return nil
}

// choose returns the value of a key that has a fixed few, the first being the
// default.
func (r request) choose(key string, values ...string) (string, error) {
	v, ok := r[key]
	if !ok {
		return values[0], nil
	}
	if !slices.Contains(values, v.text) {
		return "", fmt.Errorf("%s %q: write one of %s", v.from, v.text, strings.Join(values, ", "))
	}
	return v.text, nil
}

// number returns the value of a key that is a whole number from least to most.
func (r request) number(key string, least, most int) (int, error) {
	v := r[key]
	n, err := strconv.Atoi(v.text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s %q: write a whole number from %d to %d", v.from, v.text, least, most)
	}
	return n, nil
}

// fill puts what is asked for into the plan: mode, group file, settings,
// injection, exec rule.
func (r request) fill(p *control.Plan, operator *config.Operator) (err error) {
	if err := r.mode(p); err != nil {
		return err
	}
	if c, ok := r["config"]; ok {
		if p.GroupFile, err = groupFile(c); err != nil {
			return err
		}
	} else {
		// Without a file the group's name is the container's, so that reports
		// of several containers do not lie in one folder.
		name, from := groupName(p.Container), "container ID"
		if g, ok := r["group"]; ok {
			name, from = g.text, g.from
		}
		p.Settings = append(p.Settings, control.Setting{Key: "group", Value: name, From: from},
			control.Setting{Key: "logs", Value: "/var/log/monmod/" + name, From: from})
	}
	keys := []string{"policy", "backend"}
	if p.GroupFile != "" {
		keys = append(keys, "group")
	}
	for _, key := range keys {
		if v, ok := r[key]; ok {
			p.Settings = append(p.Settings, control.Setting{Key: key, Value: v.text, From: v.from})
		}
	}
	if p.Inject, err = r.choose("inject", control.InjectLaunch, control.InjectPreload); err != nil {
		return err
	}
	if i := r["inject"]; p.Inject == control.InjectPreload {
		if err := operator.CheckPreload(i.from, i.image); err != nil {
			return err
		}
	}
	if _, ok := r["exec"]; !ok {
		p.Exec = string(operator.Exec)
		return nil
	}
	p.Exec, err = r.choose("exec", control.ExecAllow, control.ExecDeny)
	return err
}

func (r request) mode(p *control.Plan) (err error) {
	variants, hasVariants := r["variants"]
	id, hasID := r["id"]
	_, hasConfig := r["config"]
	switch {
	case hasVariants && hasID:
		return fmt.Errorf("%s and %s exclude each other: variants makes all variants of one container, id makes this container one of a group", variants.from, id.from)
	case hasVariants:
		p.Mode = control.ModeVariants // the leader's ID is the group's to say
		p.Variants, err = r.number("variants", config.MinVariants, config.MaxVariants)
		return err
	case hasID && !hasConfig:
		return fmt.Errorf("%s is given without a group file: name it in io.monmod.config (or MONMOD_CONFIG)", id.from)
	case hasID:
		p.Mode = control.ModeOne
		p.Variant, err = r.number("id", 1, config.MaxID)
		return err
	}
	for _, key := range requestKeys {
		if v, ok := r[key]; ok {
			return fmt.Errorf("%s is given, but neither io.monmod.variants (or MONMOD_VARIANTS) nor io.monmod.id (or MONMOD_ID) with io.monmod.config: say how many variants, or which one of which group", v.from)
		}
	}
	return nil
}

// groupName makes a name for the group of a container: the ID where it is a
// person's, its first twelve digits where it is an engine's.
func groupName(id string) string {
	if len(id) > 63 {
		id = id[:12]
	}
	return strings.TrimLeft(strings.ReplaceAll(id, "+", "-"), "_-.")
}
