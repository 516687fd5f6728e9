package main

import (
	"errors"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNoDaemon    = 4
	exitInterrupted = 130 // as shells report a process that SIGINT ended
)

// errInterrupted is the error of a command that the user interrupted.
var errInterrupted = errors.New("interrupted")

// exitCode returns the code that a command ends with for an error.
func (a *app) exitCode(err error) int {
	var usage usageError
	switch {
	case errors.As(err, &usage), a.cmd == nil:
		return exitUsage
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, api.ErrNotFound):
		return exitNotFound
	case errors.Is(err, api.ErrNoDaemon):
		return exitNoDaemon
	}
	return exitFailed
}

// reason returns the reason of an error in one word, for programs.
func reason(err error, code int) string {
	var e *api.Error
	switch {
	case code == exitUsage:
		return "usage"
	case code == exitInterrupted:
		return "interrupted"
	case errors.As(err, &e):
		return string(e.Code)
	}
	return "failed"
}
