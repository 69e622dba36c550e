package config

import (
	"strconv"

	"github.com/monmod/monmod/internal/config/libconfig"
)

type kind int

const (
	nullNode kind = iota
	textNode
	integerNode
	decimalNode
	booleanNode
	listNode
	tableNode
)

var kindNames = [...]string{"nothing", "text", "a whole number", "a decimal number", "a boolean", "a list", "a table"}

func (k kind) String() string { return kindNames[k] }

// node is a value of either form, so that one decoder serves both.
type node struct {
	kind    kind
	name    string // the key that it is the value of, or "the file"
	line    int
	text    string // of a scalar
	items   []*node
	entries []entry // in the order of the file, with duplicates
	// original says that the whole file is in the libconfig form.
	original bool
}

type entry struct {
	name  string
	line  int
	value *node
}

// guess gives a value from a command line or an annotation the kind it would
// have in a file.
func guess(name, value string) *node {
	if value == "true" || value == "false" {
		return &node{kind: booleanNode, name: name, text: value}
	}
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return &node{kind: integerNode, name: name, text: value}
	}
	return &node{kind: textNode, name: name, text: value}
}

var libconfigKinds = map[libconfig.Kind]kind{libconfig.String: textNode, libconfig.Integer: integerNode,
	libconfig.Float: decimalNode, libconfig.Boolean: booleanNode, libconfig.Array: listNode, libconfig.List: listNode,
	libconfig.Group: tableNode}

func fromLibconfig(v *libconfig.Value) *node {
	n := &node{kind: libconfigKinds[v.Kind], line: v.Line, text: v.Text, original: true}
	for _, item := range v.Items {
		n.items = append(n.items, fromLibconfig(item))
	}
	for _, s := range v.Settings {
		n.entries = append(n.entries, entry{s.Name, s.Line, fromLibconfig(s.Value)})
	}
	return n
}
