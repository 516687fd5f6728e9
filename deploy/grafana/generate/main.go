package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes the dashboard to the file that args name.
func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("one argument is the file to write, not %d", len(args))
	}
	dashboard, err := dashboardJSON()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], dashboard, 0o644)
}
