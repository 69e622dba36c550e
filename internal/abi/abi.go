// Package abi holds the Go twins of include/monmod: the layout of the arena, of records and of the start protocol, and the
// few functions that turn them into bytes and back with every bound checked.
//
// What lives here knows layouts only. Who sends what and when is the supervisor's, what a call's arguments mean is
// internal/syscalls'. Nothing here does input or output.
package abi

//go:generate go run ./generate -headers ../../include -out zz_generated_abi.go

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrTruncated says that bytes ended before the structure that they were to hold.
var ErrTruncated = errors.New("abi: bytes end before the structure does")

// Append appends v, a fixed-size structure of this package or a slice of one, to dst in the byte order of the headers.
func Append(dst []byte, v any) []byte {
	out, err := binary.Append(dst, binary.LittleEndian, v)
	if err != nil {
		panic(fmt.Sprintf("abi: %T is not a fixed-size structure: %v", v, err))
	}
	return out
}

// Decode fills v, a pointer to a fixed-size structure of this package, from the beginning of b and returns what follows.
// The error is ErrTruncated where b is too short.
func Decode(b []byte, v any) (rest []byte, err error) {
	n, err := binary.Decode(b, binary.LittleEndian, v)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes for a %T", ErrTruncated, len(b), v)
	}
	return b[n:], nil
}

// DecodeAll decodes b as a sequence of T without anything between or behind them.
func DecodeAll[T any](b []byte) ([]T, error) {
	var zero T
	size := binary.Size(zero)
	if size <= 0 || len(b)%size != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not whole entries of %d", ErrTruncated, len(b), size)
	}
	out := make([]T, len(b)/size)
	if _, err := binary.Decode(b, binary.LittleEndian, out); err != nil {
		return nil, fmt.Errorf("abi: decode %T: %w", out, err)
	}
	return out, nil
}

// pad8 rounds up to the alignment of records, items and sections.
func pad8(n int) int { return (n + 7) &^ 7 }
