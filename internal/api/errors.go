package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Code identifies the kind of an error across the socket.
type Code string

// The codes, each with its HTTP status.
const (
	CodeInvalid     Code = "invalid"
	CodeNotFound    Code = "not_found"
	CodeNoPeers     Code = "no_peers"
	CodeTooLarge    Code = "too_large"
	CodeBusy        Code = "busy"
	CodeTimeout     Code = "timeout"
	CodeUnsupported Code = "unsupported"
	CodeNoDaemon    Code = "no_daemon"
	CodeInternal    Code = "internal"
)

var statuses = map[Code]int{
	CodeInvalid:     http.StatusBadRequest,
	CodeNotFound:    http.StatusNotFound,
	CodeNoPeers:     http.StatusServiceUnavailable,
	CodeTooLarge:    http.StatusRequestEntityTooLarge,
	CodeBusy:        http.StatusServiceUnavailable,
	CodeTimeout:     http.StatusGatewayTimeout,
	CodeUnsupported: http.StatusNotImplemented,
	CodeInternal:    http.StatusInternalServerError,
}

var (
	// ErrInvalid is returned when an argument is invalid.
	ErrInvalid = Errorf(CodeInvalid, "invalid argument")
	// ErrNotFound is returned when the network has no such record or peer.
	ErrNotFound = Errorf(CodeNotFound, "not found")
	// ErrNoPeers is returned when no peer could be asked, or none has answered.
	ErrNoPeers = Errorf(CodeNoPeers, "no peers")
	// ErrTooLarge is returned when a key, value or request exceeds its bound.
	ErrTooLarge = Errorf(CodeTooLarge, "too large")
	// ErrBusy is returned when too many requests are in progress.
	ErrBusy = Errorf(CodeBusy, "too many requests in progress")
	// ErrTimeout is returned when a request exceeds its time limit.
	ErrTimeout = Errorf(CodeTimeout, "timed out")
	// ErrUnsupported is returned when this node does not support the operation.
	ErrUnsupported = Errorf(CodeUnsupported, "not supported by this node")
	// ErrNoDaemon is returned when no daemon answers on the socket.
	ErrNoDaemon = Errorf(CodeNoDaemon, "no daemon reached")
)

// Error is an error that keeps its code across the socket. errors.Is compares only codes.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // the complete text for users

	// Key is the text of the key that the message names after the word key, see About. It is
	// empty if there is none.
	Key string `json:"key,omitempty"`
}

// Errorf returns an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// About returns the error with Key, which the message contains after "key ".
func (e *Error) About(text string) *Error {
	named := *e
	named.Key = text
	return &named
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Is reports whether target has the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// asError converts any error to an Error.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return &Error{Code: e.Code, Message: err.Error(), Key: e.Key}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeTimeout, Message: err.Error()}
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}
