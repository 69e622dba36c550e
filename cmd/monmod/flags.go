package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// number is a flag's whole number, 0 where it is not given.
type number struct {
	at          *int
	least, most int
}

func (n number) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < n.least || v > n.most {
		return fmt.Errorf("write a whole number from %d to %d", n.least, n.most)
	}
	*n.at = v
	return nil
}

func (n number) String() string { return strconv.Itoa(*n.at) }

func (number) Type() string { return "int" }

// once is a flag's value that is given once at most, and is not empty: of two values nobody knows which was meant, and an
// empty one comes from a variable that was not set.
type once struct {
	pflag.Value
	given bool
}

func (o *once) Set(text string) error {
	switch {
	case o.given:
		return errors.New("it was given before: leave one of the two out")
	case text == "":
		return errors.New("it is empty: give it a value, or leave the flag out")
	}
	o.given = true
	err := o.Value.Set(text)
	if err != nil && o.Type() == "bool" {
		return errors.New("write true or false, or the flag alone")
	}
	return err
}

// strict makes every flag of a command and of those below it a once.
func strict(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Value = &once{Value: f.Value} })
	for _, below := range cmd.Commands() {
		strict(below)
	}
}
