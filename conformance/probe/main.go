package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"serve"}
	}
	command, known := commands()[args[0]]
	if !known {
		fmt.Fprintf(os.Stderr, "probe: there is no command %q\n", args[0])
		os.Exit(2)
	}
	err := command(args[1:])
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
