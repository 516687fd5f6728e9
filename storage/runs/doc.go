// Package runs keeps provider records, who has what until when, as sorted runs on
// two bbolt files.
//
// What it promises: a durable write that returned nil survives a crash at any
// instant, and so does every other within the commit window; what expired is never
// served; removal of what expired costs nothing of what stays; counters are right
// after any crash without a scan; readers and writers wait for no housekeeping; each
// size has a bound, at which newcomers are refused and what is known can still be
// refreshed. After a failed fsync nothing more is acknowledged.
//
// What it refuses: files in use (ErrLocked), of another version (ErrSchema), of
// another program or of two different stores (ErrForeign). Damage is reported
// (ErrCorrupt), never a crash; what to do about it is the caller's, see Salvage.
//
// # Why not rows in a tree
//
// Record keys are hashes: a B+tree rewrites a page of 4 KiB for a record of 24
// bytes, and removing what expired rewrites all of it. Here a record is appended to
// a log, sorted once in memory, and merged a few times with others that expire in
// the same three hours; those are then dropped as a whole. A lookup asks a filter of
// a byte per record which runs to look into.
//
// # Layout
//
// The log has the newest records and everything small:
//
//	meta            schema, store id; state: counters by epoch, see type state
//	ids             peer ID -> provider number, never used again
//	peers           provider number -> peer ID, addresses and their expiry
//	counts          provider number -> its records by epoch, as of some commit
//	last            epoch of a provider's newest record | provider number
//	L<generation>   chunks of entries in the order of commits
//
// The runs:
//
//	meta            schema, store id, last generation in runs, next run, seed of hashes
//	runs            run -> epoch, newest expiry, segments
//	R<run>          last record of a block -> block: up to 83 records
//	F<run>          segment | part -> filter
//
// A record is filed under the first 16 bytes of SHA-256(wire key): 24 bytes a record
// whatever the key, and lookups bring the whole key anyway. Two keys that agree in
// 128 bits would share their providers, which any peer can bring about more cheaply
// by announcing itself.
//
// An epoch is three hours of expiry. Its records are in tables, one for each
// generation of the log, and in runs. A refresh with a later expiry is a record like
// any other; the older copy is not touched and goes with its epoch, so that a record
// announced every 22 hours is stored 2.2 times. Since a shorter life is never stored
// over a longer one, the newest copy is the one that expires last. A record stored
// while the clock was ahead (records.Live) is not served, and is removed like any
// other when its provider announces it again.
//
// # Who owns what
//
// The committer is the one goroutine that writes the log: it takes all writes that
// wait, looks up what is known of their records, decides about quotas, appends, and
// after the commit shows the new records to readers and answers. The builder is the
// one goroutine that writes the runs: it writes tables out, merges, and frees pages,
// one thing at a time in transactions of some ten milliseconds. Readers take a view,
// tables and runs as of one moment, from an atomic pointer; tables they read without
// locks, runs in a read transaction of bbolt. If a run of their view is gone by
// then, they take the next view.
//
// # Why a crash loses nothing
//
// bbolt's commit is atomic: pages, fsync, meta page, fsync. What follows from it:
//
// A record is acknowledged, and visible, after the commit of the log that has its
// entry. That commit also has the provider's number, if it is new, and the state. So
// after a crash the log names only providers that it knows, and its counters agree
// with its entries.
//
// A table is rebuilt from its generation. The transaction that writes its runs also
// notes the generation as flushed: before it the runs do not exist, after it the
// generation is not read again. Only then is the generation deleted, and not before
// the counts of the providers it names are stored; a count says up to which commit it
// goes, and the rest is counted from the log at open.
//
// A merge writes segments into a run that nothing refers to; its last transaction
// gives that run its row and deletes the inputs. What a crash leaves of an
// unfinished one has no row and is removed by the next open.
//
// An epoch is dropped by the commit of the log that takes it out of the state. Its
// runs are garbage from then on, whether or not their pages have been freed. Epochs
// have ids beside their numbers, for after a jump of the clock one of the same
// number may be made again.
//
// A removal is an entry of the log, and hides older copies from readers. Before its
// table leaves memory, the copies in runs are marked; to do that twice is no harm.
//
// The files are only ever ahead of each other in one way: runs may have what the log
// has not deleted yet, or lack what the log no longer counts. That is also what makes
// a copy of both consistent if the log's transaction is begun first, see Snapshot.
//
// An error of a commit for want of room leaves the previous state, in memory as in
// the file. Any other ends all writing (ErrFailed): after a failed fsync nobody knows
// what the file holds, and the kernel does not say it twice.
//
// # The files' size
//
// Every leaf is exactly one page, so that any free page serves any need and the files
// stay constant once expiry has begun. Lists of free pages, which are many pages in a
// row, are written at a clean close only; after a crash bbolt finds the free pages by
// walking the file, see Options.Verify.
package runs
