package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// ErrInUse is returned when another process uses the data directory.
var ErrInUse = errors.New("data directory in use")

// storeError returns the error of a database that cannot be opened, with advice on what
// to do.
func storeError(dir string, err error) error {
	var (
		locked *storage.LockedError
		newer  *storage.SchemaError
	)
	switch {
	case errors.As(err, &locked) && locked.PID != 0:
		return fmt.Errorf("%w: %s is used by process %d (%s) since %s; stop it, or choose another directory with --data-dir",
			ErrInUse, dir, locked.PID, locked.Command, locked.Started.Format(time.DateTime))
	case errors.Is(err, storage.ErrLocked):
		return fmt.Errorf("%w: %s is used by another process; stop it, or choose another directory with --data-dir", ErrInUse, dir)
	case errors.As(err, &newer):
		return fmt.Errorf("%w; %s", err, wayBack(dir, newer))
	case errors.Is(err, storage.ErrNetwork):
		return fmt.Errorf("%w; use network.protocol_prefix of that network, or another --data-dir for this one; if the name in the file is damaged, restore a backup (holdfast restore --force FILE), or move *.db out of %s: a node that has published nothing loses nothing", err, dir)
	case errors.Is(err, storage.ErrForeign):
		return fmt.Errorf("%w; choose another directory with --data-dir", err)
	}
	return fmt.Errorf("database in %s: %w", dir, err)
}

// wayBack advises what to do about a database in dir that a newer version wrote.
func wayBack(dir string, e *storage.SchemaError) string {
	forward := fmt.Sprintf("%s wrote it: install that version, or a later one", cmp.Or(e.Program, "a newer version"))
	if len(e.Kept) == 0 {
		return fmt.Sprintf("%s; to stay with %s, restore a backup that it made (holdfast restore FILE)", forward, program())
	}
	var renames, stay []string
	for _, name := range []string{storage.FileName, runs.LogName, runs.RunsName} {
		of := func(kept string) bool { return strings.TrimSuffix(filepath.Base(kept), filepath.Ext(kept)) == name }
		if i := slices.IndexFunc(e.Kept, of); i >= 0 {
			renames = append(renames, filepath.Base(e.Kept[i])+" to "+name)
		} else {
			stay = append(stay, name)
		}
	}
	back := fmt.Sprintf("to go back to %s without what these files have stored since, rename %s in %s",
		program(), english.OxfordWordSeries(renames, "and"), dir)
	if len(stay) > 0 {
		back += "; leave " + english.OxfordWordSeries(stay, "and") + " as they are"
	}
	return forward + "; " + back
}

// openStore locks the data directory and opens the database.
func (d *Daemon) openStore() (err error) {
	if d.dataDir, err = DataDir(&d.config, d.options.Getenv); err != nil {
		return err
	}
	if err := makeDataDir(d.dataDir); err != nil {
		return err
	}
	notifyStatus(d.log, "opening the database in %s", d.dataDir)
	o := storageOptions(&d.config)
	o.Logger, o.Observer = d.options.Logs.Logger("storage"), d.disk
	tell := func(state string) { notify(d.log, state) }
	err = extending(tell, func() error { return d.openCompact(o) })
	if err != nil {
		return storeError(d.dataDir, err)
	}
	d.onClose("database", closeStore, d.store.Close)
	if most := d.store.MaxBytes(); most < int64(d.config.Storage.MaxBytes) {
		d.log.Info("this machine has 32-bit addresses: the database stays smaller than storage.max_bytes", "bytes", most)
	}
	d.countStart()
	if n, bytes := d.copies(); n > 0 {
		d.log.Info("old copies of the database are kept (*.corrupt-*, *.replaced*, *.schema-*); remove them when you no longer need them", "files", n, "bytes", bytes)
	}
	stats := d.store.Stats()
	d.log.Info("database open", "path", d.store.Path(), "bytes", d.fileSize(), "clean", d.clean,
		"provider_records", stats.Records[0], "value_records", stats.Records[1], "published_keys", stats.Published[0]+stats.Published[1])
	return nil
}

// noteNode saves in the database whose it is, so that a backup says so. A failure is only
// logged: a full disk must not prevent a start.
func (d *Daemon) noteNode(key crypto.PrivKey) {
	id, err := peer.IDFromPrivateKey(key)
	if before := d.store.Origin().Node; err == nil && before != "" && before != id.String() {
		d.log.Warn("the database was used by another peer ID: other nodes see a new peer, and the provider records published under the old peer ID expire; if this is a mistake, stop the node and put the old "+IdentityFile+" back",
			"peer_id", id.String(), "database", before)
	}
	if err == nil {
		err = d.store.NoteNode(id.String())
	}
	if err != nil {
		d.log.Warn("the peer ID is not saved in the database; a backup will not contain it", "err", err)
	}
}

// openCompact opens the database. If much of it is free, it first compacts the database,
// to return the space to the disk.
func (d *Daemon) openCompact(o storage.Options) (err error) {
	if d.store, err = storage.Open(d.dataDir, o); err != nil {
		return err
	}
	d.clean = d.store.CleanStart()
	sizes, err := d.store.Sizes()
	above := int64(d.config.Storage.CompactAbove)
	if err != nil || above == 0 || sizes.File <= above || 2*sizes.Free <= sizes.File {
		return nil // the observer has counted the error of Sizes
	}
	if err := d.store.Close(); err != nil {
		return err
	}
	notifyStatus(d.log, "compacting the database, %d of %d MiB are free", sizes.Free>>20, sizes.File>>20)
	start := time.Now()
	if before, after, err := storage.Compact(d.dataDir, nil); err != nil {
		d.log.Warn("the database could not be compacted and is unchanged", "err", err)
	} else {
		d.log.Info("database compacted", "bytes_before", before, "bytes_after", after, "took", time.Since(start).Round(time.Millisecond).String())
	}
	d.store, err = storage.Open(d.dataDir, o)
	return err
}

// copies counts the files that were set aside beside the database.
func (d *Daemon) copies() (n int, bytes int64) {
	n, bytes, err := d.store.CopiesSize()
	if err != nil {
		return 0, 0
	}
	return n, bytes
}

// damage counts the damaged files that were moved aside beside the database.
func (d *Daemon) damage() storage.Damage {
	damage, err := d.store.Damage()
	if err != nil {
		return storage.Damage{}
	}
	return damage
}

// fileSize returns the length of the database in bytes, or 0 if it cannot be read.
func (d *Daemon) fileSize() int64 {
	sizes, err := d.store.Sizes()
	if err != nil {
		return 0
	}
	return sizes.File
}
