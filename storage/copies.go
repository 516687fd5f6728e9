package storage

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The suffixes of files that were moved aside: damaged files (a time follows), files that a
// restored backup replaced, and files of an older schema (its number follows).
const (
	suffixCorrupt  = ".corrupt"
	suffixReplaced = ".replaced"
	suffixSchema   = ".schema"
)

var copySuffixes = []string{suffixCorrupt, suffixReplaced, suffixSchema}

// markRecovered is in the names of damaged files from which everything was recovered, after the
// time.
const markRecovered = "-recovered"

// keptCopies is how many copies of a file are kept per suffix: the newest, and the one before
// it in case a repair or a restore was run twice by mistake. Each may be as large as the
// file.
const keptCopies = 2

// CopiesSize returns the number and combined length of the files that repairs, restores and
// migrations moved aside in the store's directory. It reads the directory once.
func (db *DB) CopiesSize() (n int, bytes int64, err error) {
	all, err := copiesIn(db.dir)
	for _, c := range all {
		bytes += c.bytes
	}
	return len(all), bytes, err
}

// Damage counts the files that were moved aside because they were damaged and are still in the
// store's directory.
type Damage struct {
	Files       int
	Unrecovered int       // of them: may contain more than was recovered
	Last        time.Time // when the last one was moved; zero: there is none
}

// Damage returns which damaged files are left. It reads the directory once.
func (db *DB) Damage() (d Damage, err error) {
	all, err := copiesIn(db.dir)
	for _, c := range all {
		if c.suffix != suffixCorrupt {
			continue
		}
		d.Files++
		if !c.recovered() {
			d.Unrecovered++
		}
		if at := c.movedAt(); at.After(d.Last) {
			d.Last = at
		}
	}
	return d, err
}

// latestMove bounds the time in the name of a file, in seconds: no clock is in the year 2242,
// and JSON cannot encode years beyond 9999.
const latestMove = 1 << 33

// movedAt returns the time in the name of a damaged file, or when it was last written.
func (c *oldCopy) movedAt() time.Time {
	_, digits, _ := strings.Cut(filepath.Base(c.path), suffixCorrupt+"-")
	digits, _, _ = strings.Cut(digits, "-") // a number follows if the name was taken
	if sec, err := strconv.ParseInt(digits, 10, 64); err == nil && sec > 0 && sec < latestMove {
		return time.Unix(sec, 0)
	}
	return c.time
}

// recovered reports whether everything in a damaged file was recovered.
func (c *oldCopy) recovered() bool { return strings.Contains(filepath.Base(c.path), markRecovered) }

func unrecoveredFirst(a, b oldCopy) int {
	switch {
	case a.recovered() == b.recovered():
		return 0
	case b.recovered():
		return -1
	}
	return 1
}

// oldCopy is a file that was moved aside.
type oldCopy struct {
	path   string
	of     string // original name of the file
	suffix string // without the time or number
	bytes  int64
	time   time.Time // modification time
}

// copiesIn returns the files in dir that were moved aside, newest first.
func copiesIn(dir string) (found []oldCopy, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("copies: %w", err)
	}
	for _, e := range entries {
		of, suffix := splitCopy(e.Name())
		if !slices.Contains(copySuffixes, suffix) {
			continue
		}
		if info, err := e.Info(); err == nil { // otherwise the file has just been removed
			found = append(found, oldCopy{filepath.Join(dir, e.Name()), of, suffix, info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(found, func(a, b oldCopy) int { return cmp.Or(b.time.Compare(a.time), cmp.Compare(b.path, a.path)) })
	return found, nil
}

// dropCopies removes the oldest copies of each file after new ones were made, and leaves
// keptCopies. newest are the new copies, one per file. Those from which everything was
// recovered go first: the last one that may contain more is never removed.
func dropCopies(dir string, newest []string) error {
	all, err := copiesIn(dir)
	if err != nil {
		return err
	}
	removed := false
	for _, path := range newest {
		of, suffix := splitCopy(filepath.Base(path))
		older := slices.DeleteFunc(slices.Clone(all), func(c oldCopy) bool {
			return c.of != of || c.suffix != suffix || c.path == path
		})
		slices.SortStableFunc(older, unrecoveredFirst)
		for _, c := range older[min(keptCopies-1, len(older)):] {
			if err := os.Remove(c.path); err != nil {
				return err
			}
			removed = true
		}
	}
	if !removed {
		return nil
	}
	return disk.SyncDir(dir)
}

// dropCopies runs dropCopies on the store's directory. It only logs a copy that it cannot
// remove: the copy only uses space.
func (db *DB) dropCopies(newest []string) {
	if err := dropCopies(db.dir, newest); err != nil {
		db.log.Warn("storage: cannot remove old copies of the database; they keep using disk space", "err", err)
	}
}

// splitCopy returns the original name of a file that was moved aside, and its suffix without
// the time or number.
func splitCopy(base string) (name, suffix string) {
	for _, name := range dbFiles {
		if rest, ok := strings.CutPrefix(base, name); ok {
			suffix, _, _ := strings.Cut(rest, "-")
			return name, suffix
		}
	}
	return base, ""
}
