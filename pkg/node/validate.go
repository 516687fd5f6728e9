package node

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/boxo/ipns"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

// ErrInvalidKey is returned for an empty key, and for a value key whose form or namespace
// the node does not accept.
var ErrInvalidKey = errors.New("invalid key")

// ErrValidatorPanic is returned for a value on which the namespace's validator panicked.
// The value is refused.
var ErrValidatorPanic = errors.New("validator panicked")

// Validator checks the values of one namespace and chooses among them; see
// Config.Validators. Its methods are those of go-libp2p-record's Validator, so one of
// those fits as it is.
//
// A validator is called from several goroutines at once, with whatever peers send. No method
// may block or call the node or its store: the node's loop calls Select, and the store calls
// all of them while it writes. If Validate or Select panics the value is refused. The panic
// is logged.
type Validator interface {
	// Validate returns an error if value is not valid under key, which includes the
	// namespace: "/namespace/...".
	Validate(key string, value []byte) error
	// Select returns the index of the best of several values, each of which was valid
	// when it was received.
	Select(key string, values [][]byte) (int, error)
}

// Ender is a Validator whose values end by themselves, as an IPNS record does at its EOL.
// The node does not store, serve or republish a value beyond its end.
type Ender interface {
	// End returns when a valid value stops being valid; the zero time: never. If it panics,
	// the value never ends by itself.
	End(key string, value []byte) time.Time
}

// validator checks values by namespace: pk and ipns by the network's rules, those of
// Config.Validators by theirs. It accepts all values of unvalidated namespaces and raw
// keys, if these are configured.
type validator struct {
	checked map[string]Validator
	open    []string
	raw     bool
	log     *slog.Logger
}

var (
	_ Validator = (*validator)(nil)
	_ Ender     = (*validator)(nil)
	_ Ender     = ipnsValidator{}
)

// ownNamespaces have validators of the network, which Config.Validators cannot replace.
var ownNamespaces = []string{"pk", "ipns"}

// ipnsValidator is boxo's validator, and an Ender.
type ipnsValidator struct{ ipns.Validator }

// Validate implements Validator. It describes a value that does not parse in one line: boxo's
// errors have a line for each cause.
func (v ipnsValidator) Validate(key string, value []byte) error {
	err := v.Validator.Validate(key, value)
	if err == nil {
		return nil
	}
	first, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return &ipnsError{"the value is not a valid IPNS record: " + first, err}
}

// ipnsError is an error of boxo with a text of one line.
type ipnsError struct {
	text string
	err  error
}

func (e *ipnsError) Error() string { return e.text }
func (e *ipnsError) Unwrap() error { return e.err }

// End implements Ender.
func (ipnsValidator) End(_ string, value []byte) time.Time {
	r, err := ipns.UnmarshalRecord(value)
	if err != nil {
		return time.Time{}
	}
	end, err := r.Validity()
	if err != nil {
		return time.Time{}
	}
	return end
}

func newValidator(keys peerstore.KeyBook, cfg *Config) *validator {
	checked := map[string]Validator{
		"pk":   record.PublicKeyValidator{},
		"ipns": ipnsValidator{ipns.Validator{KeyBook: keys}},
	}
	maps.Copy(checked, cfg.Validators)
	return &validator{checked: checked, open: cfg.UnvalidatedNamespaces, raw: cfg.RawKeys, log: cfg.Logger}
}

// of returns the validator of a key; nil with ok for an open namespace.
func (v *validator) of(key string) (val Validator, ok bool) {
	ns, path, found := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	if found && path != "" && strings.HasPrefix(key, "/") {
		if val, ok = v.checked[ns]; ok {
			return val, true
		}
		if slices.Contains(v.open, ns) {
			return nil, true
		}
	}
	return nil, v.raw && key != ""
}

// Validate implements Validator.
func (v *validator) Validate(key string, value []byte) (err error) {
	defer v.recovered(&err)
	val, ok := v.of(key)
	if !ok {
		return fmt.Errorf("%w: %.64q is in no namespace this node accepts (%s)", ErrInvalidKey, key, v.names())
	}
	if val == nil {
		return nil
	}
	return val.Validate(key, value)
}

// Select implements Validator. Values of an unvalidated namespace have no order, so the
// first is selected.
func (v *validator) Select(key string, values [][]byte) (best int, err error) {
	defer v.recovered(&err)
	val, ok := v.of(key)
	if !ok || len(values) == 0 {
		return 0, ErrInvalidKey
	}
	if val == nil {
		return 0, nil
	}
	return val.Select(key, values)
}

// recovered turns a panic of a validator into an error and logs its stack. Validators parse
// what peers send, so a bug in one must not crash the process.
func (v *validator) recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrValidatorPanic, r)
		v.log.Error("a validator panicked", "panic", r, "stack", string(debug.Stack()))
	}
}

// End implements Ender.
func (v *validator) End(key string, value []byte) (end time.Time) {
	var err error // after a panic no end is known
	defer v.recovered(&err)
	val, _ := v.of(key)
	if e, ok := val.(Ender); ok {
		return e.End(key, value)
	}
	return time.Time{}
}

// stillValid reports whether a stored value is still valid. It was valid when it was stored,
// so if the public key is not known now, or the validator panics, only its end counts.
func (v *validator) stillValid(key string, value []byte) bool {
	err := v.Validate(key, value)
	if errors.Is(err, ipns.ErrPublicKeyNotFound) || errors.Is(err, ErrValidatorPanic) {
		end := v.End(key, value)
		return end.IsZero() || time.Now().Before(end)
	}
	return err == nil
}

// selects reports whether b is better than a, for the Machine.
func (v *validator) selects(key, a, b []byte) bool {
	i, err := v.Select(string(key), [][]byte{a, b})
	return err == nil && i == 1
}

// improves reports whether b is better than the stored a, or a is no longer valid.
func (v *validator) improves(key, a, b []byte) bool {
	return v.selects(key, a, b) || !v.stillValid(string(key), a)
}

// replaces reports whether the offered b may replace the stored a. In an unvalidated
// namespace it always may.
func (v *validator) replaces(key, a, b []byte) bool {
	if val, ok := v.of(string(key)); ok && val == nil {
		return true
	}
	return v.improves(key, a, b)
}

// Namespaces returns the namespaces of value keys that the node accepts: pk and ipns, then
// those of Config.Validators and Config.UnvalidatedNamespaces. With Config.RawKeys the node
// also accepts keys without a namespace.
func (n *Node) Namespaces() []string { return n.valid.namespaces() }

func (v *validator) namespaces() []string {
	custom := slices.DeleteFunc(slices.Sorted(maps.Keys(v.checked)), func(ns string) bool { return slices.Contains(ownNamespaces, ns) })
	return slices.Concat(ownNamespaces, custom, v.open)
}

// names lists the namespaces for an error.
func (v *validator) names() string { return strings.Join(v.namespaces(), ", ") }
