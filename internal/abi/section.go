package abi

import (
	"bytes"
	"fmt"
)

// ObjectMax bounds a state or start object in bytes: the kernel lets arguments and environment reach 6 MiB.
const ObjectMax = 16 << 20

// Sections are the parts of a state or start object by tag.
type Sections map[uint32][]byte

// AppendSection appends one section, padded. Tag 0 is AppendEnd's.
func AppendSection(dst []byte, tag uint32, body []byte) []byte {
	dst = Append(dst, Section{Tag: tag, Bytes: uint32(len(body))})
	dst = append(dst, body...)
	return append(dst, make([]byte, pad8(len(body))-len(body))...)
}

// AppendEnd closes an object.
func AppendEnd(dst []byte) []byte { return Append(dst, Section{Tag: SecEnd}) }

// ParseSections takes an object apart. A section that reaches over the end, one that comes twice, an object over ObjectMax
// and one without its end mark are errors; what stands behind the end mark is not looked at. The values are parts of b.
func ParseSections(b []byte) (Sections, error) {
	if len(b) > ObjectMax {
		return nil, fmt.Errorf("abi: a state object of %d bytes, at most %d are taken", len(b), ObjectMax)
	}
	out := make(Sections)
	for {
		var h Section
		rest, err := Decode(b, &h)
		if err != nil {
			return nil, fmt.Errorf("abi: state object without its end mark: %w", err)
		}
		if h.Tag == SecEnd {
			return out, nil
		}
		if uint64(h.Bytes) > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: section %d claims %d bytes, %d are left", ErrTruncated, h.Tag, h.Bytes, len(rest))
		}
		if _, twice := out[h.Tag]; twice {
			return nil, fmt.Errorf("abi: section %d comes twice", h.Tag)
		}
		size := int(h.Bytes)
		out[h.Tag] = rest[:size:size]
		b = rest[min(pad8(size), len(rest)):]
	}
}

// JoinStrings is the form of MM_SEC_ARGV and MM_SEC_ENVP: each string with its NUL.
func JoinStrings(list []string) []byte {
	var out []byte
	for _, s := range list {
		out = append(append(out, s...), 0)
	}
	return out
}

// SplitStrings undoes JoinStrings. Bytes behind the last NUL are an error.
func SplitStrings(b []byte) ([]string, error) {
	if len(b) > 0 && b[len(b)-1] != 0 {
		return nil, fmt.Errorf("%w: the last string has no NUL", ErrTruncated)
	}
	var out []string
	for len(b) > 0 {
		s, rest, _ := bytes.Cut(b, []byte{0})
		out, b = append(out, string(s)), rest
	}
	return out, nil
}

// AppendRule appends one entry of MM_SEC_RULES: the rule, its pattern, padding.
func AppendRule(dst []byte, rule Rule, pattern string) []byte {
	rule.Bytes = uint32(len(pattern))
	dst = append(Append(dst, rule), pattern...)
	return append(dst, make([]byte, pad8(len(pattern))-len(pattern))...)
}
