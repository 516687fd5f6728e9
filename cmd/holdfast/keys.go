package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// parseKey parses a key of the command line. A bad key is a usage error.
func parseKey(text string) ([]byte, error) {
	key, err := api.ParseKey(text)
	if err != nil {
		return nil, usageError{err}
	}
	return key, nil
}

// asWritten returns an error of the daemon with the key as the user wrote it. The daemon
// knows only the bytes, which several CIDs share.
func asWritten(err error, text string) error {
	var e *api.Error
	if !errors.As(err, &e) || e.Key == "" {
		return err
	}
	message := strings.Replace(err.Error(), "key "+e.Key, "key "+text, 1)
	return api.Errorf(e.Code, "%s", message).About(text)
}

// parseContentKeys parses content keys of the command line. A bad key is a usage error.
func parseContentKeys(texts []string) ([][]byte, error) {
	keys := make([][]byte, len(texts))
	for i, text := range texts {
		key, err := api.ParseContentKey(text)
		if err != nil {
			return nil, usageError{err}
		}
		keys[i] = key
	}
	return keys, nil
}

// withKey is with for commands whose only argument is a key.
func (a *app) withKey(run func(ctx context.Context, b api.Backend, text string, key []byte) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		key, err := parseKey(args[0])
		if err != nil {
			return err
		}
		return a.ask(cmd.Context(), func(ctx context.Context, b api.Backend) error {
			return asWritten(run(ctx, b, args[0], key), args[0])
		})
	}
}

// printKey prints what was done with a key.
func (a *app) printKey(done, text string) error {
	if a.json {
		return a.printJSON(map[string]string{"key": text})
	}
	return a.printf("%s key: %s\n", done, text)
}

// storedJSON is the JSON of put and provide.
type storedJSON struct {
	Key string `json:"key"`
	api.Stored
}

// storedAt returns where a record was stored. It is not a failure if no peer stored it,
// because the daemon keeps it and tries again.
func storedAt(s *api.Stored) string {
	switch {
	case s.StoredAt > 0:
		return "stored at " + counted(s.StoredAt, "peer")
	case s.Sent > 0:
		return fmt.Sprintf("kept here, not published yet: none of %s took it; the node tries again", counted(s.Sent, "peer"))
	}
	return "kept here, not published yet: no peer answered; the node tries again"
}

// notStored returns the error of a short-lived node whose record no peer stored, because
// the record is lost when the node ends.
func (a *app) notStored(what, text string, res api.Stored) error {
	if a.alone() && res.StoredAt == 0 {
		return fmt.Errorf("no peer took the %s of key %s (sent to %d)", what, text, res.Sent)
	}
	return nil
}
