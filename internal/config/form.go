package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/monmod/monmod/internal/config/libconfig"
)

// parseForm reads a file in the form that its content shows. The error is an
// *Error.
func parseForm(file string, data []byte) (*node, error) {
	data, err := text(file, data)
	if err != nil {
		return nil, err
	}
	if isLibconfig(data) {
		root, err := libconfig.Parse(data)
		var where *libconfig.Error
		if errors.As(err, &where) {
			return nil, &Error{file, where.Line, ErrSyntax, where.Problem, where.Fix}
		}
		return fromLibconfig(root), nil
	}
	return parseYAML(file, data)
}

// text refuses what is no page of text. Neither form has a use for what no
// editor shows, and the YAML reader would not say where it stands.
func text(file string, data []byte) ([]byte, error) {
	if len(data) > maxFile {
		return nil, &Error{File: file, Kind: ErrAbsurd, Problem: fmt.Sprintf("the file has more than %d bytes", maxFile),
			Fix: "name a file that was meant for this, it is a page of text"}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	rest := data
	line := 1
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && size == 1:
			return nil, &Error{file, line, ErrSyntax, "this is not UTF-8 text", "name a group file, or save it as UTF-8"}
		case unicode.IsControl(r) && r != '\t' && r != '\r':
			return nil, &Error{file, line, ErrSyntax, fmt.Sprintf("the control character %U stands here", r), "remove it"}
		}
		rest = rest[size:]
	}
	return data, nil
}

var (
	// The first setting of a libconfig file, behind its comments; and, as
	// libconfig takes a colon too, the list that no YAML value begins like.
	firstSetting  = regexp.MustCompile(`^\s*([A-Za-z*][A-Za-z0-9_*-]*\s*=|@include\b)`)
	variantsList  = regexp.MustCompile(`(?m)^\s*variants\s*(=|:\s*\()`)
	leadingHashes = regexp.MustCompile(`^(\s*#[^\n]*(\n|$))+`)
)

func isLibconfig(data []byte) bool {
	data = leadingHashes.ReplaceAll(data, nil)
	trimmed := bytes.TrimLeft(data, " \t\r\n\f\v")
	return bytes.HasPrefix(trimmed, []byte("//")) || bytes.HasPrefix(trimmed, []byte("/*")) ||
		firstSetting.Match(data) || variantsList.Match(data)
}

func parseYAML(file string, data []byte) (*node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &node{kind: tableNode, line: 1}, nil // nothing but comments: what is missing is the reader's to say
	case err != nil:
		return nil, yamlError(file, err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &Error{file, second.Line, ErrSyntax, "a second document begins", "keep one to a file"}
	case !errors.Is(err, io.EOF):
		return nil, yamlError(file, err)
	}
	return fromYAML(file, doc.Content[0])
}

var (
	yamlLine = regexp.MustCompile(`^line (\d+): `)
	// The YAML library counts lines from 0 in what its parser finds, from 1 in
	// what its scanner finds, and leaves line 0 out. These are its parser's.
	yamlParser = regexp.MustCompile(`^(did not find expected (<|node content|'-' indicator|key|',' or)|found (undefined|duplicate|incompatible))`)
)

func yamlError(file string, err error) error {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits; one too long for an int leaves no line, which is right
		text = text[len(m[0]):]
	}
	if line == 0 || yamlParser.MatchString(text) {
		line++
	}
	return &Error{file, line, ErrSyntax, "this is not YAML (" + text + ")",
		`close what is open, align what belongs together, quote text that begins with * & [ { % or holds ": "`}
}

var yamlKinds = map[string]kind{"!!null": nullNode, "!!str": textNode, "!!timestamp": textNode, "!!int": integerNode,
	"!!float": decimalNode, "!!bool": booleanNode, "!!merge": textNode}

// fromYAML refuses what a group file has no use for: anchors and aliases
// (which can make a small file unfold without bound), own tags, keys that are
// not text.
func fromYAML(file string, y *yaml.Node) (*node, error) {
	n := &node{line: y.Line, text: y.Value}
	if y.Kind == yaml.AliasNode || y.Anchor != "" {
		return nil, &Error{file, y.Line, ErrSyntax, "anchors and aliases are not accepted", "write the value out (or quote it, if it is meant to begin with * or &)"}
	}
	switch y.Kind {
	case yaml.ScalarNode:
		k, ok := yamlKinds[y.ShortTag()]
		if !ok {
			return nil, &Error{file, y.Line, ErrSyntax, fmt.Sprintf("tag %q is not accepted", y.Tag), "write the plain value"}
		}
		n.kind = k
		if k == integerNode {
			var i int64
			if err := y.Decode(&i); err != nil {
				return nil, &Error{file, y.Line, ErrAbsurd, fmt.Sprintf("%s is too large a number", y.Value), "write a smaller one"}
			}
			n.text = strconv.FormatInt(i, 10)
		}
	case yaml.SequenceNode:
		n.kind = listNode
		for _, c := range y.Content {
			item, err := fromYAML(file, c)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case yaml.MappingNode:
		n.kind = tableNode
		for i := 0; i+1 < len(y.Content); i += 2 {
			k, err := fromYAML(file, y.Content[i])
			if err != nil {
				return nil, err
			}
			if k.kind > booleanNode || k.kind == nullNode {
				return nil, &Error{file, k.line, ErrSyntax, "a key is " + k.kind.String(), "write a word as the key"}
			}
			v, err := fromYAML(file, y.Content[i+1])
			if err != nil {
				return nil, err
			}
			n.entries = append(n.entries, entry{k.text, k.line, v})
		}
	}
	return n, nil
}
