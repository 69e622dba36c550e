// Command monmod-runtime is what a container engine runs in the place of runc.
package main

import (
	"os"

	"github.com/monmod/monmod/hooks"
	"github.com/monmod/monmod/runtime"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "hook" {
		os.Exit(hooks.Main(os.Args[2:], os.Stdin, os.Stderr))
	}
	os.Exit(runtime.Main(os.Args[1:]))
}
