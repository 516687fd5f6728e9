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

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
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
	return &SchemaError{Program: printable(meta.Get(keyProgram), maxProgramLen), Kept: db.keptFiles(), err: err}
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

// printable returns a stored name, or nothing if it is not printable text of at most most bytes.
func printable(stored []byte, most int) string {
	unprintable := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if len(stored) > most || bytes.ContainsFunc(stored, unprintable) {
		return ""
	}
	return string(stored)
}

// noteNames stores the name of this program, for older versions that cannot read what it
// writes, and that of the network, if the file has none. A full disk must not prevent a start,
// so it is only logged. Every other failed commit is ErrFailed: the content of the file is
// unknown.
func (db *DB) noteNames() error {
	var rows [][2]string
	err := db.file.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if p := db.opts.Program; p != "" && p != string(meta.Get(keyProgram)) {
			rows = append(rows, [2]string{string(keyProgram), p})
		}
		if n := db.opts.Network; n != "" && len(meta.Get(keyNetwork)) == 0 {
			rows = append(rows, [2]string{string(keyNetwork), n})
		}
		return nil
	})
	if err == nil && len(rows) > 0 {
		err = db.noteFailure(db.file.Update(func(tx *bbolt.Tx) (err error) {
			for _, row := range rows {
				err = disk.FirstErr(err, tx.Bucket(bucketMeta).Put([]byte(row[0]), []byte(row[1])))
			}
			return err
		}))
	}
	if errors.Is(err, ErrFailed) {
		return err
	}
	if err != nil {
		db.log.Warn("storage: the names of the program and the network are not saved", "err", err)
	}
	return nil
}
