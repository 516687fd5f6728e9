package storage

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The suffixes of files that were put aside: damaged ones (a time follows), those that a
// restored backup replaced, those of an older schema (its number follows).
const (
	suffixCorrupt  = ".corrupt"
	suffixReplaced = ".replaced"
	suffixSchema   = ".schema"
)

// keptCopies is how many copies of a file are kept of each suffix: the last, and the one
// before it in case a repair or a restore was done twice by mistake. Each may be as large
// as the file.
const keptCopies = 2

// Copy is a file that was put aside by a repair, a restore or a change of schema.
type Copy struct {
	Path  string
	Bytes int64
	Time  time.Time // when it was last written to
}

// Copies returns the files in the directory of the store that were put aside.
func (db *DB) Copies() (all []Copy, err error) {
	for _, name := range dbFiles {
		for _, suffix := range []string{suffixCorrupt, suffixReplaced, suffixSchema} {
			found, err := copiesOf(db.dir, name, suffix)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// copiesOf returns the copies of a file with a suffix, the newest first.
func copiesOf(dir, name, suffix string) (found []Copy, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: copies: %w", err)
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), name+suffix)
		if !ok || rest != "" && rest[0] != '-' {
			continue
		}
		if info, err := e.Info(); err == nil { // else it has just gone
			found = append(found, Copy{filepath.Join(dir, e.Name()), info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(found, func(a, b Copy) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Path, a.Path)) })
	return found, nil
}

// dropCopies removes the oldest copies of a file when a new one has been made, and leaves
// keptCopies. newest are the new ones, one of each file.
func dropCopies(dir string, newest []string) error {
	removed := false
	for _, path := range newest {
		name, suffix := splitCopy(filepath.Base(path))
		found, err := copiesOf(dir, name, suffix)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(c Copy) bool { return c.Path == path })
		for _, c := range found[min(keptCopies-1, len(found)):] {
			if err := os.Remove(c.Path); err != nil {
				return fmt.Errorf("storage: %w", err)
			}
			removed = true
		}
	}
	if !removed {
		return nil
	}
	return disk.SyncDir(dir)
}

// dropCopies is dropCopies of the store's directory. A copy that cannot be removed is
// logged: it only takes space.
func (db *DB) dropCopies(newest []string) {
	if err := dropCopies(db.dir, newest); err != nil {
		db.log.Warn("storage: old copies of the database could not be removed", "error", err)
	}
}

// splitCopy returns the name of the file that a copy was, and its suffix without the time
// or number.
func splitCopy(base string) (name, suffix string) {
	for _, name := range dbFiles {
		if rest, ok := strings.CutPrefix(base, name); ok {
			suffix, _, _ := strings.Cut(rest, "-")
			return name, suffix
		}
	}
	return base, ""
}
