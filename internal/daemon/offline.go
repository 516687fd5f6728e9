package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize/english"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

var (
	// ErrNoStore is returned when a data directory has no database.
	ErrNoStore = errors.New("no database")
	// ErrOtherNode is returned by RestoreStore for a backup of another node or network.
	ErrOtherNode = errors.New("the backup is of another node")
	// ErrBackup is returned by RestoreStore for a backup that is damaged.
	ErrBackup = errors.New("the backup cannot be used")
	// ErrDamaged is returned by CheckStore when the database has problems.
	ErrDamaged = errors.New("the database is damaged")
)

// StoreProgress is the progress of one step of work on the database.
type StoreProgress = storage.Progress

// StoreReport is the result of CheckStore.
type StoreReport struct {
	Path      string   `json:"path"`
	OK        bool     `json:"ok"`
	Problems  []string `json:"problems"`
	Omitted   int      `json:"omitted_problems"` // beyond those listed
	Providers int64    `json:"provider_records"`
	Values    int64    `json:"value_records"`
	Published int64    `json:"published_keys"`
	// MovedTo is the path to which a repair moved the damaged file; if there are several, the first.
	MovedTo string `json:"moved_to,omitempty"`
	// Damaged are the paths of the files with problems, as far as they are known.
	Damaged []string `json:"damaged_files,omitempty"`
	// Moved are the paths of all files that a repair moved aside.
	Moved []string `json:"moved_files,omitempty"`
	// Incomplete reports that a repair could not read everything. The numbers of records are
	// those after the repair.
	Incomplete bool `json:"incomplete,omitempty"`
}

// CheckStore checks the database of a stopped daemon. With repair set, a damaged one is
// moved aside and replaced by a new one with all readable records. If problems remain,
// the error is ErrDamaged, with the report. progress is called with the progress; it may
// be nil.
func CheckStore(dir string, c *config.Config, repair bool, progress func(StoreProgress)) (_ StoreReport, err error) {
	path, err := storeFile(dir)
	if err != nil {
		return StoreReport{}, err
	}
	defer func() { err = errors.Join(err, giveBack(dir)) }()
	out, err := checkStore(dir, path, progress)
	if !errors.Is(err, ErrDamaged) || !repair {
		return out, err
	}
	o := storageOptions(c)
	o.Network = "" // the file keeps its own, or the next start stores it
	o.Progress = progress
	q, err := storage.RepairDamaged(dir, o)
	if err == nil && q == nil { // opening it was enough, as after a replacement that was interrupted
		if out, err = checkStore(dir, path, progress); !errors.Is(err, ErrDamaged) {
			return out, err
		}
		q, err = storage.Repair(dir, o)
	}
	if err != nil {
		return out, storeError(dir, err)
	}
	out.MovedTo, out.Moved, out.Incomplete = q.Path, q.Files, q.Incomplete
	out.count(&q.Records, &q.Published)
	return out, nil
}

// checkStore returns the report on the database in dir, whose main file is at path. If there
// are problems, the error is ErrDamaged.
func checkStore(dir, path string, progress func(StoreProgress)) (StoreReport, error) {
	r, err := storage.Check(dir, progress)
	if err != nil {
		return StoreReport{}, storeError(dir, err)
	}
	out := StoreReport{Path: path, OK: r.OK(), Problems: orEmpty(r.Problems), Omitted: r.Omitted}
	out.count(&r.Records, &r.Published)
	if out.OK {
		return out, nil
	}
	for _, name := range r.Files {
		out.Damaged = append(out.Damaged, filepath.Join(dir, name))
	}
	return out, fmt.Errorf("%w: %s in %s; `holdfast check --repair` saves what can be read", ErrDamaged,
		english.Plural(len(out.Problems)+out.Omitted, "problem", ""), out.DamagedText())
}

// DamagedText names the damaged files, or the main file of the database if they are unknown.
func (r *StoreReport) DamagedText() string {
	if len(r.Damaged) == 0 {
		return r.Path
	}
	return english.OxfordWordSeries(r.Damaged, "and")
}

// count sets the numbers of records.
func (r *StoreReport) count(stored, published *[records.NumKinds]int64) {
	r.Providers, r.Values = stored[records.KindProvider], stored[records.KindValue]
	r.Published = published[records.KindProvider] + published[records.KindValue]
}

// CompactStore rewrites the database of a stopped daemon without its free pages. It
// returns its length in bytes before and after. progress is called with the progress; it
// may be nil.
func CompactStore(dir string, progress func(StoreProgress)) (before, after int64, err error) {
	if _, err := storeFile(dir); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, giveBack(dir)) }()
	before, after, err = storage.Compact(dir, progress)
	if err != nil {
		return 0, 0, storeError(dir, err)
	}
	return before, after, nil
}

// Restored is the result of RestoreStore.
type Restored struct {
	Old     []string // paths of the files that were replaced
	Network string   // of the backup; empty: unknown
	PeerID  string   // of the node that made it; empty: unknown
}

// RestoreStore replaces the database of a stopped daemon with a backup. Unless force is set,
// it refuses (ErrOtherNode) the backup of another network than that of the database in dir,
// or of a node that is neither that of the identity in dir nor that of the database. progress
// is called with the progress of checking the backup; it may be nil.
func RestoreStore(dir string, backup io.Reader, getenv func(string) string, force bool, progress func(StoreProgress)) (r Restored, err error) {
	if err := os.MkdirAll(dir, dataDirMode); err != nil {
		return r, fmt.Errorf("data directory: %w", err)
	}
	defer func() { err = errors.Join(err, giveBack(dir)) }()
	r.Old, err = storage.RestoreIf(dir, backup, func(from, present storage.Origin) error {
		r.Network, r.PeerID = from.Network, from.Node
		if force {
			return nil
		}
		return sameNode(dir, from, present, savedPeerID(dir, getenv))
	}, progress)
	r.Old = orEmpty(r.Old)
	switch {
	case err == nil, errors.Is(err, ErrOtherNode):
	case errors.Is(err, storage.ErrCorrupt):
		err = fmt.Errorf("%w: %w; nothing was restored", ErrBackup, err)
	default:
		err = storeError(dir, err)
	}
	return r, err
}

// savedPeerID returns the peer ID of the identity that belongs to a data directory, or "" if
// there is none or it cannot be read.
func savedPeerID(dir string, getenv func(string) string) string {
	key, err := loadIdentity(dir, getenv)
	if err != nil {
		return ""
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return ""
	}
	return id.String()
}

// sameNode returns ErrOtherNode if a backup is not that of the node in dir: of the database
// there, or of identity, the peer ID of the key there. The key may be an old one, because
// systemd's credential store has the one in use. An unknown name is not compared.
func sameNode(dir string, backup, present storage.Origin, identity string) error {
	node := cmp.Or(identity, present.Node)
	switch {
	case backup.Network != "" && present.Network != "" && backup.Network != present.Network:
		return fmt.Errorf("%w: it belongs to the network %s, and the database in %s to %s; name the right directory with --data-dir, or replace the database with --force", ErrOtherNode, backup.Network, dir, present.Network)
	case backup.Node != "" && node != "" && backup.Node != node && backup.Node != present.Node:
		return fmt.Errorf("%w: it belongs to the peer %s, and %s to %s; put the %s of that peer there first, name the right directory with --data-dir, or use --force", ErrOtherNode, backup.Node, dir, node, IdentityFile)
	}
	return nil
}

func storeFile(dir string) (string, error) {
	path := filepath.Join(dir, storage.FileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w in %s; name the data directory with --data-dir", ErrNoStore, dir)
	} else if err != nil {
		return "", err
	}
	return path, nil
}
