package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"unicode"
	"unicode/utf8"

	"go.etcd.io/bbolt"
)

// SchemaError is an ErrSchema about files that a newer version wrote, with what helps to go
// back to this one.
type SchemaError struct {
	// Program is the last program that had the files open for writing (Options.Program), or
	// empty if it is not known.
	Program string
	// Kept are the paths of the files that the newer version has replaced and kept, in the
	// schema that this version knows. There are none if no file of this schema was migrated.
	Kept []string

	err error
}

func (e *SchemaError) Error() string { return e.err.Error() }

// Unwrap returns an error that wraps ErrSchema.
func (e *SchemaError) Unwrap() error { return e.err }

// newer returns err, about a file of a newer schema, as a SchemaError.
func (db *DB) newer(meta *bbolt.Bucket, err error) error {
	return &SchemaError{Program: programName(meta.Get(keyProgram)), Kept: db.keptFiles(), err: err}
}

// newerProviders does the same for provider records. Only their newest schema is known.
func (db *DB) newerProviders(err error) error {
	var e error
	view := db.file.View(func(tx *bbolt.Tx) error {
		e = db.newer(tx.Bucket(bucketMeta), err)
		return nil
	})
	return cmp.Or(e, view)
}

// keptFiles returns the files of this schema that a newer version has kept.
func (db *DB) keptFiles() (kept []string) {
	all, err := copiesIn(db.dir)
	if err != nil {
		return nil // only the advice is missing
	}
	for _, c := range all {
		if filepath.Base(c.path) == c.of+suffixSchema+fmt.Sprintf("-%d", schemaVersion) {
			kept = append(kept, c.path)
		}
	}
	return kept
}

// programName returns a stored name, or nothing if it is not printable text.
func programName(stored []byte) string {
	unprintable := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if len(stored) > maxProgramLen || bytes.ContainsFunc(stored, unprintable) {
		return ""
	}
	return string(stored)
}

// noteProgram stores the name of this program, for older versions that cannot read what it
// writes. A full disk must not prevent a start, so it is only logged. Every other failed commit
// is ErrFailed: the content of the file is unknown.
func (db *DB) noteProgram() error {
	name := []byte(db.opts.Program)
	if len(name) == 0 {
		return nil
	}
	noted := false
	err := db.file.View(func(tx *bbolt.Tx) error {
		noted = bytes.Equal(tx.Bucket(bucketMeta).Get(keyProgram), name)
		return nil
	})
	if err == nil && !noted {
		err = db.noteFailure(db.file.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyProgram, name) }))
	}
	if errors.Is(err, ErrFailed) {
		return err
	}
	if err != nil {
		db.log.Warn("storage: the name of the program is not saved", "err", err)
	}
	return nil
}
