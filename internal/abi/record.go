package abi

import "fmt"

const (
	recHeader  = 32
	caseHeader = 424
)

// Record is one record of a stream: its header, its form and what follows the form, as bytes.
type Record struct {
	Head Rec
	Form []byte // Head.Form bytes, a sequence of items
	Rest []byte // result, output buffers; padding included
}

// ParseRecord takes the record at the beginning of b and returns what follows it. Size, form and kind are checked; the items
// of the form are not looked into. Form and Rest are parts of b.
func ParseRecord(b []byte) (Record, []byte, error) {
	var r Record
	body, err := Decode(b, &r.Head)
	if err != nil {
		return Record{}, nil, err
	}
	size := r.Head.Size
	switch {
	case size < recHeader || size > RecMax || size%8 != 0:
		return Record{}, nil, fmt.Errorf("abi: record of %d bytes: a multiple of 8 from %d to %d is right", size, recHeader, RecMax)
	case int(size) > len(b):
		return Record{}, nil, fmt.Errorf("%w: record claims %d bytes, %d are left", ErrTruncated, size, len(b))
	case r.Head.Kind < RecCall || r.Head.Kind > RecFault:
		return Record{}, nil, fmt.Errorf("abi: record of unknown kind %d", r.Head.Kind)
	case r.Head.Form > FormMax || recHeader+uint32(r.Head.Form) > size:
		return Record{}, nil, fmt.Errorf("abi: record of %d bytes claims a form of %d (limit %d)", size, r.Head.Form, FormMax)
	}
	form := int(r.Head.Form)
	body = body[:size-recHeader]
	r.Form, r.Rest = body[:form:form], body[form:]
	return r, b[size:], nil
}

// ParseCase takes the body of DIVERGED, AUDIT or TRACE: the case and the records behind it.
func ParseCase(body []byte) (Case, []Record, error) {
	var c Case
	rest, err := Decode(body, &c)
	if err != nil {
		return Case{}, nil, err
	}
	if c.Frames > Frames {
		return Case{}, nil, fmt.Errorf("abi: case with %d frames, at most %d fit", c.Frames, Frames)
	}
	if uint64(c.Records) > uint64(len(rest)/recHeader) {
		return Case{}, nil, fmt.Errorf("%w: case claims %d records in %d bytes", ErrTruncated, c.Records, len(rest))
	}
	records := make([]Record, 0, c.Records)
	for range c.Records {
		var r Record
		if r, rest, err = ParseRecord(rest); err != nil {
			return Case{}, nil, fmt.Errorf("record %d of a case: %w", len(records), err)
		}
		records = append(records, r)
	}
	if len(rest) != 0 {
		return Case{}, nil, fmt.Errorf("abi: %d bytes behind the %d records of a case", len(rest), c.Records)
	}
	return c, records, nil
}
